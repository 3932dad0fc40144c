package conductor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// told keeps what it is given.
type told struct {
	slog.Handler
	mutex   sync.Mutex
	records []slog.Record
}

func (t *told) Enabled(context.Context, slog.Level) bool { return true }

func (t *told) Handle(_ context.Context, record slog.Record) error {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.records = append(t.records, record)
	return nil
}

func TestSlogGetsWhatWasSaid(t *testing.T) {
	c := open(t)
	handler := &told{}
	stop, err := LogTo(handler, "info")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := job(t, c, "one", "exit 3").Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop()
	stop()
	events := map[string]slog.Record{}
	for _, record := range handler.records {
		fields := map[string]any{}
		record.Attrs(func(attr slog.Attr) bool {
			fields[attr.Key] = attr.Value.Any()
			return true
		})
		// Other tests of this process are told of, too.
		if fields["task_id"] == "one" && fields["subsystem"] == "runner" {
			events[fields["event"].(string)] = record
			if fields["event"] == "run_execution_failed" && fields["exit_code"] != int64(3) {
				t.Fatal(fields)
			}
		}
	}
	started, ok := events["run_started"]
	if _, failed := events["run_execution_failed"]; !ok || !failed {
		t.Fatal(handler.records)
	}
	if started.Level != slog.LevelInfo || started.Time.IsZero() || started.Message != "run started" {
		t.Fatal(started)
	}
	if _, err := LogTo(handler, "loud"); !errors.Is(err, ErrInvalidInput) {
		t.Fatal(err)
	}
}

func TestLinesOfTheLogAreReadUntilTheContextEnds(t *testing.T) {
	c := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	worked := make(chan error, 1)
	// The reader is there from some moment of the loop on: there is work until it has heard of some.
	go func() {
		for ctx.Err() == nil {
			run, err := c.StartJob(t.Context(), JobSpec{
				Project: "shop", Task: "said", Agent: "shell", Prompt: "true",
			})
			if err == nil {
				_, err = run.Wait(t.Context())
				run.Close()
			}
			if err != nil {
				worked <- err
				cancel()
			}
		}
		close(worked)
	}()
	var last error
	heard := false
	for line, err := range Log(ctx, "info") {
		if last = err; err != nil {
			break
		}
		if line.Event == "run_started" && line.Fields["task_id"] == "said" {
			heard = true
			cancel()
		}
	}
	if err := <-worked; err != nil || !heard || !errors.Is(last, context.Canceled) {
		t.Fatal(err, heard, last)
	}
}

func TestWhatWaitsForTheWebhookIsTold(t *testing.T) {
	calls := make(chan map[string]any, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var event map[string]any
		if json.NewDecoder(r.Body).Decode(&event) == nil {
			calls <- event
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	path := filepath.Join(t.TempDir(), "config.yaml")
	text := fmt.Sprintf("webhook:\n  url: %s/hook\n", server.URL)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := OpenWith(filepath.Join(t.TempDir(), "root"), Options{Config: path})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := job(t, c, "one", "exit 3").Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	waiting, err := c.Outbox(t.Context())
	if err != nil || len(waiting) == 0 {
		t.Fatal(waiting, err)
	}
	for _, event := range waiting {
		if event.EventID == "" || event.Event == "" || event.At.IsZero() || event.Body == "" {
			t.Fatalf("%+v", event)
		}
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Deliver(over); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	delivery, err := c.Deliver(t.Context())
	if err != nil || delivery.Delivered != int64(len(waiting)) || delivery.Left != 0 || delivery.Failed != 0 {
		t.Fatalf("%+v %v", delivery, err)
	}
	for range waiting {
		if event := <-calls; event["event"] == nil {
			t.Fatal(event)
		}
	}
	if waiting, err := c.Outbox(t.Context()); err != nil || len(waiting) != 0 {
		t.Fatal(waiting, err)
	}
}
