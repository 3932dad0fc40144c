package conductor

/*
#include <conductor.h>
*/
import "C"

import "runtime"

// Config is what is configured.
type Config struct {
	Path     string        `json:"path,omitempty"` // the file; empty where nothing is configured
	Values   []ConfigValue `json:"values"`
	Warnings []Problem     `json:"warnings"`
}

// ConfigValue is a key of the configuration with the value that holds.
type ConfigValue struct {
	Key   string `json:"key"`   // with its sections: "agents.claude.model"
	Value any    `json:"value"` // text, number, flag or list; secrets are masked
	From  Origin `json:"from"`
}

// Origin is where a value of the configuration is from.
type Origin struct {
	Kind   string `json:"kind"` // "default", "file", "variable"
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	Name   string `json:"name,omitempty"` // the variable
}

// Problem is something wrong or doubtful in the configuration.
type Problem struct {
	Severity string `json:"severity"` // "warning", "error"
	Kind     string `json:"kind"`     // what to do about it, as the kind of an error
	Code     string `json:"code"`
	Message  string `json:"message"`
	Hint     string `json:"hint,omitempty"`
	Path     string `json:"path,omitempty"`
	Line     int    `json:"line,omitempty"`
	Column   int    `json:"column,omitempty"`
	Field    string `json:"field,omitempty"` // the key with its sections
}

// Validation says whether this machine is ready to start work.
type Validation struct {
	Config   Place        `json:"config"`
	Root     Place        `json:"root"`
	Agents   []AgentCheck `json:"agents"`
	Problems []Problem    `json:"problems"`
	Errors   int          `json:"errors"`
	Warnings int          `json:"warnings"`
}

// Place is a file or folder, and whether it can be used.
type Place struct {
	Path string `json:"path,omitempty"`
	OK   bool   `json:"ok"`
}

// AgentCheck is what was found of an agent.
type AgentCheck struct {
	Name    string `json:"name"`
	Type    string `json:"type"`
	Program string `json:"program,omitempty"`
	Version string `json:"version,omitempty"` // told when it was first started in the root
	Token   string `json:"token"`             // where it is from, for a person
	Status  string `json:"status"`            // "ok", "warning", "error": the worst of its problems
}

// ReadConfig reads what is configured, and where each value is from. The error tells the first thing that
// is wrong; Validate tells everything.
func ReadConfig(how ConfigOptions) (Config, error) {
	opts, err := options(how)
	if err != nil {
		return Config{}, err
	}
	defer C.conductor_options_free(opts)
	var out *C.conductor_record
	var cerr *C.conductor_error
	if err := toError(C.conductor_config_show(opts, &out, &cerr), cerr); err != nil {
		return Config{}, err
	}
	return decode[Config](out)
}

// Validate looks at whether this machine is ready to start work: configuration, root, agents and their
// tokens. It starts nothing and changes nothing; what is wrong is no error, but told.
func Validate(root string, how ValidateOptions) (Validation, error) {
	opts, err := options(how)
	if err != nil {
		return Validation{}, err
	}
	defer C.conductor_options_free(opts)
	var pin runtime.Pinner
	defer pin.Unpin()
	var out *C.conductor_record
	var cerr *C.conductor_error
	if err := toError(C.conductor_validate(cstr(&pin, root), opts, &out, &cerr), cerr); err != nil {
		return Validation{}, err
	}
	return decode[Validation](out)
}
