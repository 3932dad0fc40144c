package conductor

/*
#include <conductor.h>
*/
import "C"

import (
	"encoding/json"
	"fmt"
)

// decode makes a value of a record, by the names of its fields, and frees the record.
func decode[T any](record *C.conductor_record) (T, error) {
	defer C.conductor_record_free(record)
	return read[T](record)
}

func read[T any](record *C.conductor_record) (T, error) {
	var value T
	text := C.conductor_record_json(record)
	err := json.Unmarshal(bytes(text), &value)
	if err != nil {
		// A record that does not fit is a defect of this package, or a library of another version.
		err = fmt.Errorf("%w: a record does not fit %T: %w", ErrInternal, value, err)
	}
	return value, err
}

// unreadable is the error of an entry of a list that cannot be read.
func unreadable(record *C.conductor_record) error {
	message := field(record, "error")
	if message == "" {
		return nil
	}
	where := field(record, "project_id") + "/" + field(record, "task_id")
	if run := field(record, "run_id"); run != "" {
		where += "/" + run
	}
	return &Error{
		Kind: ErrCorrupt, Code: field(record, "error_code"), Message: message,
		Path: field(record, "error_path"), Hint: "look at " + where,
	}
}
