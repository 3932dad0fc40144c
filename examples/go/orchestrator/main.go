// A small pipeline: two tasks side by side, a third that depends on both, and what they said.
//
//	go run ./orchestrator [ROOT]
//
// The agent is "shell", so that nothing needs to be installed: its prompt is a shell script. Put
// "claude", "codex" or "gemini" in its place. Ctrl-C leaves the tasks running; run it again to go on.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"time"

	"example.com/conductor-go/conductor"
)

// step is a task of the pipeline.
type step struct {
	id, script string
	after      []string
}

var pipeline = []step{
	{id: "fetch", script: `echo x >>tries; test $(wc -l <tries) -ge 2 && echo 40 >number && touch DONE`},
	{id: "guess", script: `echo 2 >number && touch DONE`},
	{
		id:     "sum",
		script: `echo $(($(cat ../fetch/number) + $(cat ../guess/number))) && touch DONE`,
		after:  []string{"fetch", "guess"},
	},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	root := ""
	if len(os.Args) > 1 {
		root = os.Args[1]
	}
	if err := run(ctx, root); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		var e *conductor.Error
		if errors.As(err, &e) {
			fmt.Fprintln(os.Stderr, "hint:", e.Hint)
		}
		os.Exit(1)
	}
}

func run(ctx context.Context, root string) error {
	c, err := conductor.Open(root)
	if err != nil {
		return err
	}
	defer c.Close()

	var all sync.WaitGroup
	failures := make([]error, len(pipeline))
	for i, step := range pipeline {
		all.Add(1)
		go func() {
			defer all.Done()
			failures[i] = drive(ctx, c, step)
		}()
	}
	all.Wait()
	if err := errors.Join(failures...); err != nil {
		return err
	}

	result, err := c.Run("pipeline", "sum", "")
	if err != nil {
		return err
	}
	defer result.Close()
	text, err := result.Output(ctx)
	if err != nil {
		return err
	}
	bus, err := c.Bus("pipeline", "")
	if err != nil {
		return err
	}
	defer bus.Close()
	posted, err := bus.Post(ctx, "DECISION", "The sum is "+text)
	if err != nil {
		return err
	}
	fmt.Printf("the sum is %s", text)
	fmt.Println("go on from", posted.Cursor)
	return nil
}

// drive starts a task, follows it while it is driven, and fails unless it is done in the end.
func drive(ctx context.Context, c *conductor.Conductor, step step) error {
	task, err := c.StartTask(ctx, conductor.TaskSpec{
		Project: "pipeline", Task: step.id, Agent: "shell", Prompt: step.script, DependsOn: step.after,
		MaxAttempts: 5, RestartDelay: 50 * time.Millisecond, Verify: "test -e DONE",
	})
	if err != nil {
		return fmt.Errorf("%s: %w", step.id, err)
	}
	defer task.Close()
	for m, err := range task.Follow(ctx) {
		var damage *conductor.Damage
		switch {
		case errors.As(err, &damage):
			fmt.Fprintln(os.Stderr, damage) // told, and the loop goes on
		case err != nil:
			return fmt.Errorf("%s: %w", step.id, err)
		case m.Type == "RUN_START" || m.Type == "RUN_STOP":
			fmt.Printf("%-6s %s\n", step.id, m.Type)
		}
	}
	result, err := task.Wait(ctx)
	if err == nil && result.Outcome != "done" {
		err = fmt.Errorf("%s after %d attempts: %s", result.Outcome, result.Attempts, result.Reason)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", step.id, err)
	}
	return nil
}
