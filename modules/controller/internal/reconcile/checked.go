package reconcile

import "sync"

// checked remembers, for each WorkerApp, in which state its way for requests was found as wished: a further look at the
// very same objects need not build and compare them again. There are several looks in each rollout, and one at every
// resync.
type unchanged struct {
	mu     sync.Mutex
	states map[string]string
}

func newUnchanged() *unchanged { return &unchanged{states: map[string]string{}} }

// is tells whether app was found as wished in this state.
func (c *unchanged) has(app, state string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.states[app] == state
}

// note remembers that.
func (c *unchanged) set(app, state string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.states[app] = state
}

// forget is for a WorkerApp that is no more.
func (c *unchanged) forget(app string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.states, app)
}
