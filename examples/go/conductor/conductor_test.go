package conductor

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"
)

func open(t *testing.T) *Conductor {
	t.Helper()
	c, err := Open(filepath.Join(t.TempDir(), "root"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func job(t *testing.T, c *Conductor, task, script string) *Run {
	t.Helper()
	run, err := c.StartJob(t.Context(), JobSpec{
		Project: "shop", Task: task, Agent: "shell", Prompt: script, Env: map[string]string{"A": "b=c"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { run.Close() })
	return run
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestARunIsStartedWaitedForAndRead(t *testing.T) {
	c := open(t)
	run := job(t, c, "one", "echo $A; exit 3")
	end, err := run.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if end.Outcome != "failed" || *end.ExitCode != 3 || end.Signal != nil || end.RunID != run.ID {
		t.Fatalf("%+v", end)
	}
	if text, err := run.Output(t.Context()); err != nil || text != "b=c\n" {
		t.Fatalf("%q %v", text, err)
	}
	again, err := c.Run("shop", "one", "")
	if err != nil || again.ID != run.ID {
		t.Fatal(again, err)
	}
	again.Close()
	for info, err := range c.Runs(t.Context(), ListOptions{Project: "shop", Task: "one"}) {
		if err != nil || info.RunID != run.ID {
			t.Fatal(info, err)
		}
	}
	if projects, err := c.Projects(t.Context()); err != nil || len(projects) != 1 {
		t.Fatal(projects, err)
	}
	if closed, err := c.Reconcile(t.Context()); err != nil || len(closed) != 0 {
		t.Fatal(closed, err)
	}
}

func TestATaskIsDrivenByWhoFollowsIt(t *testing.T) {
	c := open(t)
	task, err := c.StartTask(t.Context(), TaskSpec{
		Project: "shop", Task: "count", Agent: "shell", RestartDelay: 10 * time.Millisecond,
		Prompt: "echo x >>steps; test $(wc -l <steps) -lt 3 || touch DONE",
	})
	if err != nil {
		t.Fatal(err)
	}
	defer task.Close()
	starts := 0
	for m, err := range task.Follow(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if m.Type == "RUN_START" {
			starts++
		}
	}
	result, err := task.Wait(t.Context())
	if err != nil || result.Outcome != "done" || result.Attempts != 3 || starts != 3 {
		t.Fatal(result, err, starts)
	}
	info, err := task.Info()
	if err != nil || !info.Done || info.Latest == nil || info.Latest.Outcome != "completed" {
		t.Fatalf("%+v %v", info, err)
	}
}

func TestAWaitEndsWithItsContextAndNotTheWork(t *testing.T) {
	c := open(t)
	run := job(t, c, "slow", "exec sleep 600")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := run.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := run.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if info, err := run.Info(); err != nil || info.Status != "running" {
		t.Fatal(info, err)
	}
	report, err := run.Stop(t.Context(), "enough", StopOptions{Force: true})
	if err != nil || len(report.Signalled) != 1 {
		t.Fatal(report, err)
	}
	if end, err := run.Wait(t.Context()); err != nil || end.StopReason != "enough" {
		t.Fatal(end, err)
	}
}

func TestErrorsAreTheirKindAndSayTheWayOut(t *testing.T) {
	c := open(t)
	_, err := c.Run("shop", "none", "")
	if !errors.Is(err, ErrNotFound) || errors.Is(err, ErrBusy) {
		t.Fatal(err)
	}
	_, err = c.StartJob(t.Context(), JobSpec{Project: "../x", Agent: "shell", Prompt: "x"})
	var e *Error
	if !errors.As(err, &e) || e.Code != "id.invalid" || e.Field != "project" || e.Hint == "" {
		t.Fatalf("%#v", err)
	}
	for status, kind := range kinds {
		if kind == nil || toError(status, nil) != kind {
			t.Fatal(status)
		}
	}
	c.Close()
	if _, err := c.Bus("shop", ""); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
}

func TestMessagesComeOnceAndInOrder(t *testing.T) {
	const writers, each = 4, 50
	c := open(t)
	job(t, c, "one", "true").Wait(t.Context())
	bus, err := c.Bus("shop", "one")
	if err != nil {
		t.Fatal(err)
	}
	var seen []int64
	ctx, cancel := context.WithCancel(t.Context())
	there, followed := make(chan struct{}), make(chan error, 1)
	go func() {
		greeted := false
		for m, err := range bus.Follow(ctx, End) {
			if err != nil {
				followed <- err
				return
			}
			if m.Type == "GREETING" {
				if !greeted {
					greeted = true
					close(there)
				}
				continue
			}
			seen = append(seen, m.Seq)
			if len(seen) == writers*each {
				cancel()
			}
		}
		followed <- nil
	}()
	// The follower is there from some moment on: it is greeted until it has heard of that.
	for greeted := false; !greeted; {
		if _, err := bus.Post(t.Context(), "GREETING", "x"); err != nil {
			t.Fatal(err)
		}
		select {
		case <-there:
			greeted = true
		case err := <-followed:
			t.Fatal(err)
		case <-time.After(time.Millisecond):
		}
	}
	var all sync.WaitGroup
	for range writers {
		all.Add(1)
		go func() {
			defer all.Done()
			for range each {
				how := PostOptions{Meta: map[string]string{"by": "go"}}
				if _, err := bus.Post(t.Context(), "FACT", "x", how); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	all.Wait()
	if err := <-followed; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	for i := 1; i < len(seen); i++ {
		if seen[i] != seen[i-1]+1 {
			t.Fatal(seen)
		}
	}
	last := Message{}
	for m, err := range bus.Read(t.Context(), ReadOptions{Tail: 1, Type: []string{"fact"}}) {
		if err != nil {
			t.Fatal(err)
		}
		last = m
	}
	if last.Seq != seen[len(seen)-1] || last.Meta["by"] != "go" || last.Time.IsZero() {
		t.Fatalf("%+v", last)
	}
}

func TestCloseEndsFollowersAndWaiters(t *testing.T) {
	c := open(t)
	run := job(t, c, "slow", "exec sleep 600")
	bus, err := c.Bus("shop", "slow")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	for range 8 {
		go func() {
			for _, err := range bus.Follow(t.Context(), End) {
				ended <- err
			}
		}()
		go func() {
			_, err := run.Wait(t.Context())
			ended <- err
		}()
	}
	time.Sleep(50 * time.Millisecond)
	c.Close()
	bus.Close()
	// Whoever waits ends; the run goes on, and is ended by who still holds it.
	waiting, err := c.Run("shop", "slow", run.ID)
	if !errors.Is(err, ErrClosed) {
		t.Fatal(waiting, err)
	}
	if _, err := run.Stop(t.Context(), "enough", StopOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
	run.Close()
	for range 16 {
		if err := <-ended; err != nil && !errors.Is(err, ErrClosed) {
			t.Fatal(err)
		}
	}
}

func TestFollowsLeaveNeitherGoroutineNorDescriptor(t *testing.T) {
	count := 10_000
	if testing.Short() {
		count = 500
	}
	c := open(t)
	job(t, c, "one", "true").Wait(t.Context())
	bus, err := c.Bus("shop", "one")
	if err != nil {
		t.Fatal(err)
	}
	defer bus.Close()
	follow := func() {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Microsecond, cancel)
		for _, err := range bus.Follow(ctx, End) {
			if !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
	}
	follow()
	runtime.GC()
	goroutines, fds := runtime.NumGoroutine(), descriptors(t)
	gate := make(chan struct{}, 100)
	var all sync.WaitGroup
	for range count {
		gate <- struct{}{}
		all.Add(1)
		go func() {
			defer all.Done()
			follow()
			<-gate
		}()
	}
	all.Wait()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		now, open := runtime.NumGoroutine(), descriptors(t)
		if now <= goroutines && open <= fds {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, were %d; %d descriptors, were %d", now, goroutines, open, fds)
		}
	}
}

func TestNamesAreThoseOfEveryLanguage(t *testing.T) {
	for name, want := range map[string]string{
		"MaxAttempts": "max_attempts", "ParentRunID": "parent_run_id", "Cwd": "cwd", "MsgID": "msg_id",
		"CostUsd": "cost_usd", "BootID": "boot_id",
	} {
		if got := OptionName(name); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}
