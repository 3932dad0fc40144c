// The bus and SQLite from Go, doing the same work: `bench FOLDER ROUNDS`. Prints a name, a tab and the
// nanoseconds of one call, for each piece of work in each round.
package main

import (
	"context"
	"database/sql"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"example.com/conductor-go/conductor"
	_ "github.com/mattn/go-sqlite3"
)

const (
	calls   = 1_000_000
	disk    = 500
	process = 5_000
)

var body = strings.Repeat("x", 300)

func tell(what string, start time.Time, count int) {
	fmt.Printf("%s\t%.1f\n", what, float64(time.Since(start).Nanoseconds())/float64(count))
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func useTheBus(folder, durability string, count int) {
	must(os.Mkdir(filepath.Join(folder, "bench"), 0o700))
	c, err := conductor.OpenWith(folder, conductor.Options{Durability: durability})
	must(err)
	defer c.Close()
	bus, err := c.Bus("bench", "")
	must(err)
	defer bus.Close()
	ctx := context.Background()
	start := time.Now()
	for range count {
		_, err := bus.Post(ctx, "FACT", body)
		must(err)
	}
	tell("post "+durability, start, count)
	if durability == "disk" {
		return
	}
	start = time.Now()
	seen := 0
	for m, err := range bus.Read(ctx, conductor.ReadOptions{}) {
		must(err)
		seen += len(m.Body)
	}
	tell("read", start, count)
	if seen != count*len(body) {
		log.Fatal(seen)
	}
	start = time.Now()
	for range calls {
		seen += len(c.Root())
	}
	tell("call", start, calls)
}

func useSQLite(folder, durability string, count int) {
	synchronous := map[string]string{"process": "normal", "disk": "full"}[durability]
	name := "file:" + filepath.Join(folder, "bench.db") + "?_journal_mode=wal&_synchronous=" + synchronous
	db, err := sql.Open("sqlite3", name)
	must(err)
	defer db.Close()
	db.SetMaxOpenConns(1)
	_, err = db.Exec(`create table messages (seq integer primary key autoincrement, ts text, type text,
		run_id text, body text)`)
	must(err)
	insert, err := db.Prepare(`insert into messages (ts, type, run_id, body)
		values (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), ?, ?, ?)`)
	must(err)
	start := time.Now()
	for range count {
		_, err := insert.Exec("FACT", "", body)
		must(err)
	}
	tell("sqlite "+durability, start, count)
	insert.Close()
	if durability == "disk" {
		return
	}
	start = time.Now()
	rows, err := db.Query("select seq, ts, type, run_id, body from messages order by seq")
	must(err)
	defer rows.Close()
	seen := 0
	for rows.Next() {
		var seq int64
		var ts, kind, run, text string
		must(rows.Scan(&seq, &ts, &kind, &run, &text))
		seen += len(text)
	}
	must(rows.Err())
	tell("sqlite read", start, count)
	if seen != count*len(body) {
		log.Fatal(seen)
	}
}

func main() {
	rounds, err := strconv.Atoi(os.Args[2])
	must(err)
	for round := range rounds {
		for durability, count := range map[string]int{"process": process, "disk": disk} {
			folder := filepath.Join(os.Args[1], fmt.Sprintf("%d-%s", round, durability))
			must(os.Mkdir(folder, 0o700))
			useTheBus(folder, durability, count)
			useSQLite(folder, durability, count)
		}
	}
}
