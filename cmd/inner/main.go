// Command inner is the Inner Gateway, the internal control plane of the platform.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	err := newRoot().ExecuteContext(interrupted())
	if err != nil {
		fmt.Fprintln(os.Stderr, "inner:", err)
		os.Exit(exitStatus(err))
	}
}

// interrupted returns a context that the first signal to stop ends. The second one ends the program at once, whatever it is
// doing, and whoever else waits for signals.
func interrupted() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() { // it ends with the program
		<-signals
		cancel()
		second := <-signals
		status := exitFailure
		if number, ok := second.(syscall.Signal); ok {
			status = exitSignal + int(number)
		}
		os.Exit(status)
	}()
	return ctx
}
