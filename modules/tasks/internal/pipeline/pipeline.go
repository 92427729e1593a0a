// Package pipeline runs the queue's writes one after the other, but none waits long for the one before.
package pipeline

import "time"

const (
	// slow is how long the next write waits for the last one: one that waits for a lock or for a server that stalls does not hold
	// up the others. With 10 ms a machine whose processors are used up made more writes for the same tasks, and an eighth fewer
	// tasks (test/bench/queue/profiles.md).
	slow = 100 * time.Millisecond
	// limit is how many writes may be under way, and so how many connections they use.
	limit = 3
)

// Pipeline runs writes. Each takes what has gathered since the last one began, so there are few while all are fast.
type Pipeline struct{ places chan struct{} }

// New returns a pipeline in which nothing is under way.
func New() *Pipeline { return &Pipeline{places: make(chan struct{}, limit)} }

// Enter waits for a place. The caller then gathers what to write, and calls Run, or Leave if there is nothing. The wait is as
// long as the writes under way, which have time limits of their own.
func (p *Pipeline) Enter() { p.places <- struct{}{} }

// Leave gives back the place of Enter.
func (p *Pipeline) Leave() { <-p.places }

// Run calls write in a goroutine, which has the place of Enter until it ends. It returns whether write has ended; if it is
// slow, it goes on meanwhile. It must not panic.
func (p *Pipeline) Run(write func()) (ended bool) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer p.Leave()
		write()
	}()
	late := time.NewTimer(slow)
	defer late.Stop()
	select {
	case <-done:
		return true
	case <-late.C:
		return false
	}
}

// Drain waits until no write is under way.
func (p *Pipeline) Drain() {
	for range limit {
		p.Enter()
	}
	for range limit {
		p.Leave()
	}
}
