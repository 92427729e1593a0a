package reconcile

import "sync"

// checked remembers, for each WorkerApp, in which state its way for requests was found as wished: a further look at the
// very same objects need not build and compare them again. There are several looks in each rollout, and one at every
// resync.
type checked struct {
	mu     sync.Mutex
	states map[string]string
}

func newChecked() *checked { return &checked{states: map[string]string{}} }

// is tells whether app was found as wished in this state.
func (c *checked) is(app, state string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.states[app] == state
}

// note remembers that.
func (c *checked) note(app, state string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.states[app] = state
}

// forget is for a WorkerApp that is no more.
func (c *checked) forget(app string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.states, app)
}
