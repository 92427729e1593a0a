// Package pipeline runs the queue's writes one after the other, but none waits long for the one before.
package pipeline

import "time"

const (
	// slow is how long the next write waits for the last one: one that waits for a lock, a busy server or a far one does not hold
	// up the others. An undisturbed write is faster, and then few large ones cost least (test/bench/queue/profiles.md).
	slow = 10 * time.Millisecond
	// limit is how many writes may be under way, and so how many connections they use.
	limit = 3
)

// Pipeline limits writes to one at a time, and lets another begin where one is slow.
type Pipeline struct{ places chan struct{} }

// New returns a pipeline in which nothing is under way.
func New() *Pipeline { return &Pipeline{places: make(chan struct{}, limit)} }

// Enter waits for a place. The caller then gathers what to write, and calls Run, or Leave if there is nothing. The wait is as
// long as the writes under way, which have time limits of their own.
func (p *Pipeline) Enter() { p.places <- struct{}{} }

// Leave gives back the place of Enter.
func (p *Pipeline) Leave() { <-p.places }

// Run calls write, and gives back the place of Enter. If write is slow, next is called in a goroutine meanwhile, and Run returns
// true: next has taken the place of the caller, which must not begin another write.
func (p *Pipeline) Run(write, next func()) (replaced bool) {
	late := time.AfterFunc(slow, next)
	defer p.Leave()
	write()
	return !late.Stop()
}
