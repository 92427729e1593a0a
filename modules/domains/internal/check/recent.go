package check

import (
	"context"
	"sync"
	"time"

	"app238.com/inner/modules/domains/internal/store"
)

const (
	// recentFor is how long the status of a verified domain is restored: Outer overwrites it a minute after it added the domain.
	recentFor = 3 * time.Minute
	// recentLimit is the maximum number of such domains; the status of others is restored by the resync.
	recentLimit = 1000
)

// recent holds the recently verified domains. If there are none, no query is made.
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

// list returns the domains that are still recent.
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

// load adds, once, the domains that were verified before this process started.
func (r *recent) load(ctx context.Context, s *store.Store) error {
	if r.loaded {
		return nil
	}
	cdids, err := s.RecentlyVerified(ctx, recentFor, recentLimit)
	if err != nil {
		return err
	}
	r.loaded = true
	r.add(cdids...)
	return nil
}

// RestoreStatus restores the overwritten status of recently verified domains. It must not be called concurrently.
func (c *Checker) RestoreStatus(ctx context.Context) error {
	if err := c.recent.load(ctx, c.store); err != nil {
		return err
	}
	return c.store.SetStatus(ctx, c.recent.list())
}
