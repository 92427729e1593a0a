// Command inner is the Inner Gateway, the internal control plane of the platform.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	_ "golang.org/x/crypto/x509roots/fallback" // root certificates for images without a file of them

	"app238.com/inner/app"
	"app238.com/inner/app/guard"
	"app238.com/inner/app/logging"
)

func main() { os.Exit(runRoot(interrupted(), newRoot())) }

// runRoot runs a command and returns the exit status. A panic becomes a failure: Go's own exit status for it, 2, is that of a
// usage error.
func runRoot(ctx context.Context, root *cobra.Command) int {
	err := guard.Call(func() error { return root.ExecuteContext(ctx) })
	if _, panicked := errors.AsType[*guard.PanicError](err); panicked {
		err = app.UserError("", err)
	}
	if err != nil {
		// A key of a settings file or an argument in the text can hold control characters of a terminal.
		_, _ = fmt.Fprintln(root.ErrOrStderr(), "inner:", logging.Printable(err.Error()))
	}
	return exitStatus(err)
}

// interrupted returns a context that the first SIGINT or SIGTERM cancels. The second one ends the program at once.
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
