package conductor

/*
#include <conductor.h>
*/
import "C"

import "context"

// UsageSum is a sum over runs. Runs that did not tell are counted as unknown, never as zero.
type UsageSum struct {
	Name         string   `json:"name,omitempty"` // what the runs have in common; empty for all of them
	Runs         int64    `json:"runs"`
	Usage        Usage    `json:"usage"`
	UnknownUsage int64    `json:"unknown_usage"` // runs that are not in Usage
	CostUsd      *float64 `json:"cost_usd,omitempty"`
	UnknownCost  int64    `json:"unknown_cost"` // runs that are not in CostUsd
}

// Unreadable is something that could not be read.
type Unreadable struct {
	Error     string `json:"error"`
	ErrorCode string `json:"error_code"`
	ErrorPath string `json:"error_path,omitempty"`
}

// UsageReport is what runs used, summed up.
type UsageReport struct {
	By     string       `json:"by"` // what the runs of a sum have in common
	Sums   []UsageSum   `json:"sums"`
	Total  UsageSum     `json:"total"`
	Damage []Unreadable `json:"damage"`
}

// Usage sums up what finished runs used: tokens and cost, as their agents told. It reads only.
func (c *Conductor) Usage(how UsageOptions) (UsageReport, error) {
	object, err := c.handle.use()
	if err != nil {
		return UsageReport{}, err
	}
	defer c.handle.done()
	opts, err := options(how)
	if err != nil {
		return UsageReport{}, err
	}
	defer C.conductor_options_free(opts)
	var out *C.conductor_record
	var cerr *C.conductor_error
	if err := toError(C.conductor_usage(object, opts, &out, &cerr), cerr); err != nil {
		return UsageReport{}, err
	}
	return decode[UsageReport](out)
}

// Finding is something that is wrong with a root, and the way out.
type Finding struct {
	Kind   string `json:"kind"`
	Path   string `json:"path"`
	Text   string `json:"text"`
	WayOut string `json:"way_out"`
}

// Doctor looks for what is wrong with the root. It reads only.
func (c *Conductor) Doctor(ctx context.Context) ([]Finding, error) {
	object, err := c.handle.use()
	if err != nil {
		return nil, err
	}
	defer c.handle.done()
	var reader *C.conductor_reader
	var cerr *C.conductor_error
	if err := toError(C.conductor_doctor(object, &reader, &cerr), cerr); err != nil {
		return nil, err
	}
	return all[Finding](ctx, reader)
}
