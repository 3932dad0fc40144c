// One of several languages on one bus, for a test: `mixed ROOT COUNT TOTAL` posts COUNT messages while it
// follows the bus until it has seen TOTAL, and prints their ids in order.
package main

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"os"
	"strconv"

	"example.com/conductor-go/conductor"
)

func main() {
	count, err := strconv.Atoi(os.Args[2])
	check(err)
	total, err := strconv.Atoi(os.Args[3])
	check(err)
	c, err := conductor.OpenWith(os.Args[1], conductor.Options{Durability: "process"})
	check(err)
	bus, err := c.Bus("shop", "")
	check(err)
	ctx, cancel := context.WithCancel(context.Background())
	posted := make(chan struct{})
	go func() {
		for i := range count {
			_, err := bus.Post(ctx, "FACT", fmt.Sprint("go ", i))
			check(err)
		}
		close(posted)
	}()
	out := bufio.NewWriter(os.Stdout)
	for m, err := range bus.Read(ctx, conductor.ReadOptions{Follow: true, Type: []string{"FACT"}}) {
		check(err)
		fmt.Fprintln(out, m.MsgID)
		if total--; total == 0 {
			break
		}
	}
	<-posted
	cancel()
	check(out.Flush())
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
