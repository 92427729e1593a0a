package processor

import (
	"context"
	"time"

	"app238.com/inner/modules/tasks/internal/store"
)

// attendPause is the wait between two looks at a task that is not ours to run at the moment.
const attendPause = 200 * time.Millisecond

// Attend runs one task in this process when its turn comes, and returns it once it has ended, whoever ran it. It is for
// a processor that is not started. seen is told what the task's row says.
func (p *Processor) Attend(ctx context.Context, id int64, seen func(store.View)) (store.View, error) {
	running := p.startWriting()
	defer p.stopWriting()
	defer context.AfterFunc(ctx, p.stopRunning)()
	for {
		view, err := p.store.View(ctx, id)
		if err != nil {
			return view, err
		}
		seen(view)
		if view.Status.Ended() {
			return view, nil
		}
		process, ok := p.book.Current()
		if ok && view.Status == store.Pending {
			claimed, err := p.store.ClaimTask(ctx, process, id)
			if err != nil {
				return view, err
			}
			for _, c := range claimed {
				p.runOne(running, c)
			}
		}
		if !pause(ctx, attendPause) {
			return view, ctx.Err()
		}
	}
}
