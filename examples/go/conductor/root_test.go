package conductor

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestUsageIsSummedUpAndUnknownIsNotZero(t *testing.T) {
	c := open(t)
	for _, task := range []string{"one", "two"} {
		if _, err := job(t, c, task, "exit 3").Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	report, err := c.Usage(UsageOptions{Project: "shop"})
	if err != nil || report.By != "task" || len(report.Sums) != 2 || report.Sums[0].Name != "shop/one" {
		t.Fatalf("%+v %v", report, err)
	}
	if report.Total.Runs != 2 || report.Total.CostUsd != nil || report.Total.UnknownCost != 2 {
		t.Fatalf("%+v", report.Total)
	}
	_, err = c.Usage(UsageOptions{By: "week"})
	var e *Error
	if !errors.As(err, &e) || e.Code != "usage.unknown_group" || e.Field != "by" {
		t.Fatal(err)
	}
}

func TestWhatIsToldOfARoot(t *testing.T) {
	c := open(t)
	run := job(t, c, "one", "echo no luck >&2; exit 3")
	if _, err := run.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	why, err := run.Why()
	if err != nil || why.RunID != run.ID || !strings.Contains(why.Because, "3") || len(why.Evidence) == 0 {
		t.Fatalf("%+v %v", why, err)
	}
	entry := filepath.Join(c.Root(), ".conductor", "open", "nonsense")
	if err := os.WriteFile(entry, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	findings, err := c.Doctor(t.Context())
	if err != nil || len(findings) == 0 {
		t.Fatal(findings, err)
	}
	for _, finding := range findings {
		if finding.Path == "" || finding.WayOut == "" {
			t.Fatalf("%+v", finding)
		}
	}
}

func TestTheConfigurationIsShownAndHeeded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("agents:\n  mine:\n    type: command\n    command: [sh, -c, echo configured]\n")
	config, err := ReadConfig(ConfigOptions{Config: path})
	if err != nil || config.Path != path {
		t.Fatal(config, err)
	}
	values := map[string]ConfigValue{}
	for _, value := range config.Values {
		values[value.Key] = value
	}
	command := values["agents.mine.command"]
	if list, ok := command.Value.([]any); !ok || len(list) != 3 || command.From.Line != 4 {
		t.Fatalf("%+v", command)
	}
	root := filepath.Join(t.TempDir(), "root")
	c, err := OpenWith(root, Options{Config: path})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	run, err := c.StartJob(t.Context(), JobSpec{Project: "shop", Task: "one", Agent: "mine", Prompt: "x"})
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	if _, err := run.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if text, err := run.Output(t.Context()); err != nil || text != "configured\n" {
		t.Fatalf("%q %v", text, err)
	}

	write("agents:\n  mine:\n    tipe: command\n")
	var e *Error
	if _, err := OpenWith(root, Options{Config: path}); !errors.As(err, &e) || e.Path != path {
		t.Fatal(err)
	}
	found, err := Validate(root, ValidateOptions{Config: path})
	if err != nil || found.Config.OK || !found.Root.OK || found.Errors == 0 || found.Problems[0].Line != 3 {
		t.Fatalf("%+v %v", found, err)
	}
}

func TestATaskIsCancelledSetBackAndDeleted(t *testing.T) {
	c := open(t)
	start := func() error {
		task, err := c.StartTask(t.Context(), TaskSpec{
			Project: "shop", Task: "unwanted", Agent: "shell", Prompt: "exec sleep 600",
		})
		if err == nil {
			task.Close()
		}
		return err
	}
	if err := start(); err != nil {
		t.Fatal(err)
	}
	if err := c.SetBackTask(t.Context(), "shop", "unwanted"); !errors.Is(err, ErrConflict) {
		t.Fatal(err)
	}
	if err := c.DeleteTask(t.Context(), "shop", "unwanted", DeleteOptions{}); !errors.Is(err, ErrConflict) {
		t.Fatal(err)
	}
	report, err := c.CancelTask(t.Context(), "shop", "unwanted", "not wanted", StopOptions{Force: true})
	if err != nil || len(report.Signalled) != 1 {
		t.Fatal(report, err)
	}
	if err := start(); !errors.Is(err, ErrConflict) {
		t.Fatal(err)
	}
	if err := c.SetBackTask(t.Context(), "shop", "unwanted"); err != nil {
		t.Fatal(err)
	}
	if err := start(); err != nil {
		t.Fatal(err)
	}
	if err := c.DeleteTask(t.Context(), "shop", "unwanted", DeleteOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Task("shop", "unwanted"); !errors.Is(err, ErrNotFound) {
		t.Fatal(err)
	}
}

func TestABusIsConsumedOnceRotatedAndChecked(t *testing.T) {
	c := open(t)
	job(t, c, "one", "true").Wait(t.Context())
	bus, err := c.Bus("shop", "one")
	if err != nil {
		t.Fatal(err)
	}
	defer bus.Close()
	enough := errors.New("enough")
	consume := func(upTo int) (bodies []string) {
		err := bus.Consume(t.Context(), "mailer", func(m Message, err error) error {
			if err != nil {
				return err
			}
			if len(bodies) == upTo {
				return enough
			}
			if m.Type == "FACT" {
				bodies = append(bodies, m.Body)
			}
			return nil
		})
		if !errors.Is(err, enough) {
			t.Fatal(err)
		}
		return bodies
	}
	for _, body := range []string{"a", "b", "c", "d"} {
		if _, err := bus.Post(t.Context(), "FACT", body); err != nil {
			t.Fatal(err)
		}
	}
	if first, second := consume(2), consume(1); strings.Join(append(first, second...), "") != "abc" {
		t.Fatal(first, second)
	}
	taken := make(chan error)
	go bus.Consume(t.Context(), "mailer", func(m Message, _ error) error {
		taken <- bus.Consume(t.Context(), "mailer", func(Message, error) error { return nil })
		return enough
	})
	if err := <-taken; !errors.Is(err, ErrBusy) {
		t.Fatal(err)
	}

	rotation, err := bus.Rotate(t.Context())
	if err != nil || rotation.Result != "done" || rotation.Archive == "" {
		t.Fatal(rotation, err)
	}
	if rotation, err = bus.Rotate(t.Context()); err != nil || rotation.Result != "empty" {
		t.Fatal(rotation, err)
	}
	report, err := bus.Check()
	if err != nil || report.Damaged || report.Files != 2 || len(report.Findings) != 0 {
		t.Fatalf("%+v %v", report, err)
	}
}

func TestValuesAreJSONWithTheNamesOnDisk(t *testing.T) {
	c := open(t)
	end, err := job(t, c, "one", "exit 3").Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(end)
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]any{}
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatal(err)
	}
	if fields["exit_code"] != 3.0 || fields["run_id"] != end.RunID || fields["signal"] != nil {
		t.Fatal(string(text))
	}
	if _, known := fields["usage"]; known {
		t.Fatal("what is not known is left out: ", string(text))
	}
}
