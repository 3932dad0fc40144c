package conductor

import (
	"errors"
	"os"
	"testing"
)

func TestWhatIsWrongWithAnUpdateIsSaid(t *testing.T) {
	c := open(t)
	if _, err := job(t, c, "one", "true").Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	var e *Error
	if _, err := c.StartUpdate(UpdateRequest{Binary: "/no/such"}); !errors.As(err, &e) || e.Code != "update.binary" {
		t.Fatal(err)
	}
	request := UpdateRequest{Binary: "/bin/sh", SHA256: "ab"}
	if _, err := c.StartUpdate(request); !errors.As(err, &e) || e.Code != "update.sha256" {
		t.Fatal(err)
	}
	if _, err := c.StartUpdate(UpdateRequest{Binary: "/bin/sh"}); !errors.Is(err, ErrConflict) {
		t.Fatal(err)
	}
	status, err := c.UpdateStatus()
	if err != nil || status.State != "idle" || status.Served || !status.RequestedAt.IsZero() {
		t.Fatalf("%+v %v", status, err)
	}
	if status, err = c.CancelUpdate("no"); err != nil || status.State != "idle" {
		t.Fatalf("%+v %v", status, err)
	}
	c.Close()
	if _, err := c.UpdateStatus(); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
}

// While somebody has the part of the server of the root CONDUCTOR_TEST_SERVED, and a root run lives in it.
func TestAnUpdateHoldsNewRootRunsBack(t *testing.T) {
	root := os.Getenv("CONDUCTOR_TEST_SERVED")
	if root == "" {
		t.Skip("nobody serves a root for this test")
	}
	c, err := Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	status, err := c.StartUpdate(UpdateRequest{Binary: "/bin/sh", AllowDowngrade: true})
	if err != nil || status.State != "deferred" || !status.Served || status.ActiveRunsNow != 1 {
		t.Fatalf("%+v %v", status, err)
	}
	var e *Error
	_, err = c.StartJob(t.Context(), JobSpec{Project: "shop", Task: "refused-in-go", Agent: "shell", Prompt: "true"})
	if !errors.Is(err, ErrUpdateInProgress) || !errors.As(err, &e) || e.Code != "update.in_progress" {
		t.Fatal(err)
	}
	_, err = c.StartTask(t.Context(), TaskSpec{Project: "shop", Task: "refused-in-go", Agent: "shell", Prompt: "true"})
	if !errors.Is(err, ErrUpdateInProgress) {
		t.Fatal(err)
	}
	status, err = c.CancelUpdate("from Go")
	if err != nil || status.State != "idle" || status.LastNote != "cancelled: from Go" {
		t.Fatalf("%+v %v", status, err)
	}
	if end, err := job(t, c, "let-in-go", "exit 3").Wait(t.Context()); err != nil || *end.ExitCode != 3 {
		t.Fatal(end, err)
	}
}
