package check

import (
	"context"
	"sync"
	"time"

	"app238.com/inner/modules/domains/internal/store"
)

const (
	// recentFor is how long the status of a domain that was verified is looked after: Outer writes its own a minute after it added one.
	recentFor = 3 * time.Minute
	// recentLimit is the most domains of which it is; that of the others is put right with all rows.
	recentLimit = 1000
)

// recent are the domains that were verified lately. While there are none they cost the database nothing.
type recent struct {
	now func() time.Time

	mu     sync.Mutex
	loaded bool
	until  map[string]time.Time
}

func newRecent() *recent { return &recent{now: time.Now, until: map[string]time.Time{}} }

func (r *recent) add(cdids ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, cdid := range cdids {
		if len(r.until) < recentLimit {
			r.until[cdid] = r.now().Add(recentFor)
		}
	}
}

// list returns those that are recent still.
func (r *recent) list() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var cdids []string
	for cdid, until := range r.until {
		if r.now().After(until) {
			delete(r.until, cdid)
			continue
		}
		cdids = append(cdids, cdid)
	}
	return cdids
}

// load adds once what was verified before this process was there.
func (r *recent) load(ctx context.Context, s *store.Store) error {
	if r.loaded {
		return nil
	}
	cdids, err := s.Recent(ctx, recentFor, recentLimit)
	if err != nil {
		return err
	}
	r.loaded = true
	r.add(cdids...)
	return nil
}

// KeepStatus writes the status of domains that were verified lately where somebody wrote over it. It is for one goroutine.
func (c *Checker) KeepStatus(ctx context.Context) error {
	if err := c.recent.load(ctx, c.store); err != nil {
		return err
	}
	return c.store.SetStatus(ctx, c.recent.list())
}
