package processor

import (
	"context"
	"errors"
	"os"
	"time"

	"go.uber.org/zap"

	"app238.com/inner/app/logging"
	"app238.com/inner/modules/tasks/internal/store"
)

// runHeartbeats sends heartbeats until ctx ends, which is after the last task has stopped.
func (p *Processor) runHeartbeats(ctx context.Context) {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	for failures := 0; ; {
		wait := p.config.HeartbeatInterval
		if p.sendHeartbeat(ctx, host) {
			failures = 0
		} else {
			// There is time for several retries before the lease ends; the first, on a new connection, is immediate.
			wait = min(wait, time.Duration(min(failures, 1))*p.config.HeartbeatTimeout()/2)
			failures++
		}
		if !sleep(ctx, wait) {
			return
		}
	}
}

// sendHeartbeat writes a heartbeat, which begins a lease if there is none, and reports success.
func (p *Processor) sendHeartbeat(ctx context.Context, host string) bool {
	id, fresh := p.tracker.Identity()
	sent := time.Now()
	var err error
	if fresh {
		err = p.heartbeats.Register(ctx, id, host)
	} else {
		err = p.heartbeats.Renew(ctx, id, p.tracker.Load())
	}
	switch {
	case err == nil:
		if p.tracker.Renew(id, sent) {
			p.tracker.Notify()
		}
		return true
	case errors.Is(err, store.ErrLeaseLost):
		p.tracker.Revoke(id)
		p.log.Warn("lease lost: other processes recovered the tasks of this one", zap.String("process", id))
	case ctx.Err() == nil:
		p.log.Warn("heartbeat failed", logging.Error(err))
	}
	return false
}
