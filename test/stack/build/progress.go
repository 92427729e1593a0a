package build

import (
	"fmt"
	"io"
	"time"
)

// progressEvery is how often a long step says that it is still going on.
const progressEvery = 5 * time.Second

// report says on w what is being done and, until stop is called, for how long.
func report(w io.Writer, what string) (stop func()) {
	begin := time.Now()
	quit, ended := make(chan struct{}), make(chan struct{})
	say(w, "%s", what)
	go func() {
		defer close(ended)
		ticker := time.NewTicker(progressEvery)
		defer ticker.Stop()
		for {
			select {
			case <-quit:
				return
			case <-ticker.C:
				say(w, "still at it after %s: %s", time.Since(begin).Round(time.Second), what)
			}
		}
	}()
	return func() {
		close(quit)
		<-ended
		say(w, "ended after %s", time.Since(begin).Round(100*time.Millisecond))
	}
}

// say writes a line of progress. Nothing depends on its being read.
func say(w io.Writer, format string, arguments ...any) {
	_, _ = fmt.Fprintf(w, "stack: "+format+"\n", arguments...)
}
