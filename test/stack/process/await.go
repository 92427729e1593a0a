package process

import (
	"context"
	"fmt"
	"time"
)

// Await calls check every interval until it returns nil. It gives up when ctx ends or the program does; the error
// then names the program, says what check last complained about, and shows the end of the log.
func (p *Process) Await(ctx context.Context, interval time.Duration, check func(context.Context) error) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		last := check(ctx)
		if last == nil {
			return nil
		}
		select {
		case <-p.done:
			return p.Failure()
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w (last: %w)\n%s", p.spec.Name, ctx.Err(), last, p.Tail())
		case <-ticker.C:
		}
	}
}
