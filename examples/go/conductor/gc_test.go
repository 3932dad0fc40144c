package conductor

import (
	"context"
	"errors"
	"testing"
	"time"
)

func finished(t *testing.T, c *Conductor, tasks ...string) {
	t.Helper()
	for _, task := range tasks {
		if _, err := job(t, c, task, "true").Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func runsOf(t *testing.T, c *Conductor, task string) (count int) {
	t.Helper()
	for _, err := range c.Runs(t.Context(), ListOptions{Project: "shop", Task: task}) {
		if err != nil {
			t.Fatal(err)
		}
		count++
	}
	return count
}

func TestAPlanChangesNothingAndItsWorkTellsOfEachThing(t *testing.T) {
	c := open(t)
	finished(t, c, "one", "two", "three")
	plan, err := c.PlanGC(t.Context(), GCOptions{OlderThan: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	defer plan.Close()
	info, err := plan.Info()
	if err != nil || info.Runs != 3 || info.Plan == "" || info.Now.IsZero() || len(info.Errors) != 0 {
		t.Fatalf("%+v %v", info, err)
	}
	paths, bytes := map[string]bool{}, int64(0)
	for item, err := range plan.Actions(t.Context()) {
		if err != nil || item.Action != "delete" || item.Reason != "age" || item.Result != "" {
			t.Fatalf("%+v %v", item, err)
		}
		paths[item.Path] = true
		bytes += item.Bytes
	}
	all := 0
	for _, err := range plan.Items(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		all++
	}
	if len(paths) != 3 || all < 3 || runsOf(t, c, "one") != 1 {
		t.Fatal(paths, all)
	}
	var report GCReport
	for item, err := range plan.Applying(t.Context(), &report) {
		if err != nil || item.Result != "done" || !paths[item.Path] {
			t.Fatalf("%+v %v", item, err)
		}
	}
	if report.Runs != 3 || report.Freed != bytes || report.Failed != 0 || runsOf(t, c, "one") != 0 {
		t.Fatalf("%+v", report)
	}
}

func TestAPlanIsMadeAgainOfItsTextAndTakesNoMore(t *testing.T) {
	c := open(t)
	finished(t, c, "one")
	plan, err := c.PlanGC(t.Context(), GCOptions{OlderThan: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	info, err := plan.Info()
	plan.Close()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := plan.Info(); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	finished(t, c, "later")
	again, err := c.PlanGCAgain(t.Context(), info.Plan)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	report, err := again.Apply(t.Context())
	if err != nil || report.Runs != 1 || runsOf(t, c, "later") != 1 {
		t.Fatalf("%+v %v", report, err)
	}
	var e *Error
	if _, err := c.PlanGCAgain(t.Context(), "nonsense"); !errors.As(err, &e) || e.Code != "gc.token" {
		t.Fatal(err)
	}
}

func TestACollectionEndsWithItsContextAndIsGoneOnWith(t *testing.T) {
	c := open(t)
	finished(t, c, "one", "two")
	plan, err := c.PlanGC(t.Context(), GCOptions{OlderThan: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	defer plan.Close()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := plan.Apply(over); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if _, err := c.PlanGC(over, GCOptions{}); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	for item, err := range plan.Applying(t.Context(), nil) {
		if err != nil || item.Result != "done" {
			t.Fatalf("%+v %v", item, err)
		}
		break
	}
	if report, err := plan.Apply(t.Context()); err != nil || report.Failed != 0 {
		t.Fatalf("%+v %v", report, err)
	}
	if left := runsOf(t, c, "one") + runsOf(t, c, "two"); left != 0 {
		t.Fatal(left)
	}
}
