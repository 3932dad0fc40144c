// What the C library promises, asked from Go: errors from many goroutines, none mixed up with
// another's, whatever thread the runtime moves them to.
package main

/*
#include <stdlib.h>
#include <conductor.h>
*/
import "C"

import (
	"fmt"
	"os"
	"sync"
	"unsafe"
)

// text lends a Go string to one call.
func text(s string) C.conductor_str {
	return C.conductor_str{ptr: (*C.char)(unsafe.Pointer(unsafe.StringData(s))), len: C.size_t(len(s))}
}

func goString(s C.conductor_str) string {
	return C.GoStringN(s.ptr, C.int(s.len))
}

func checkID(noun, id string) (code, message string) {
	cnoun, cid := C.CString(noun), C.CString(id)
	defer C.free(unsafe.Pointer(cnoun))
	defer C.free(unsafe.Pointer(cid))
	var err *C.conductor_error
	status := C.conductor_id_check(
		C.conductor_str{ptr: cnoun, len: C.size_t(len(noun))},
		C.conductor_str{ptr: cid, len: C.size_t(len(id))},
		&err,
	)
	if status == C.CONDUCTOR_OK {
		return "", ""
	}
	defer C.conductor_error_free(err)
	return goString(C.conductor_error_text(err, text("code"))),
		goString(C.conductor_error_text(err, text("message")))
}

func main() {
	if C.conductor_abi_version() != C.CONDUCTOR_ABI_VERSION {
		fail("the library has another interface than the header")
	}
	if version := goString(C.conductor_version()); version != C.CONDUCTOR_VERSION {
		fail("the library is version " + version)
	}
	if code, _ := checkID("task", "fix-login"); code != "" {
		fail("a good id was refused: " + code)
	}
	var all sync.WaitGroup
	for worker := range 64 {
		all.Add(1)
		go func() {
			defer all.Done()
			for i := range 50 {
				bad := fmt.Sprintf("a/%d-%d", worker, i)
				code, message := checkID("task", bad)
				want := fmt.Sprintf("invalid task id %q: the character '/' is not allowed", bad)
				if code != "id.invalid" || message != want {
					fail(fmt.Sprintf("%s: %s, not %s", code, message, want))
				}
			}
		}()
	}
	all.Wait()
	fmt.Println("go is fine")
}

func fail(why string) {
	fmt.Fprintln(os.Stderr, why)
	os.Exit(1)
}
