// Package naming compares the name templates of the engines with the recorded names of existing resources: with other
// templates, Inner and the Combinator would not find users' data.
package naming

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/app/logging"
	"app238.com/inner/modules/combinator/internal/engine"
	"app238.com/inner/modules/combinator/internal/store"
)

// timeout bounds the wait for the database at the start.
const timeout = 5 * time.Second

// pageSize is the number of rows per query.
const pageSize = 1000

// Check tells, once, whether the templates contradict the recorded names.
type Check struct {
	// hasName is true when the platform's name is configured, rather than derived from the domain.
	hasName bool

	store *store.Store
	rdb   engine.RDB
	kv    engine.KV
	log   *zap.Logger

	mu   sync.Mutex
	done bool
	// err is the result.
	err error
}

// New returns the check.
func New(c *config.Config, r *store.Store, rdb engine.RDB, kv engine.KV, log *zap.Logger) *Check {
	return &Check{hasName: c.Platform != "", store: r, rdb: rdb, kv: kv, log: log.Named("job")}
}

// Start fails when the templates contradict the recorded names. A database that does not answer does not prevent the start:
// then Ready repeats the check.
func (c *Check) Start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err := c.run(ctx)
	if errors.As(err, new(config.Error)) {
		return err
	}
	if err != nil {
		c.log.Info("comparison of recorded names failed", logging.Error(err))
	}
	return nil
}

// Ready returns the error of the check, or that the check is not done yet.
func (c *Check) Ready(ctx context.Context) error {
	err := c.run(ctx)
	if err == nil || errors.As(err, new(config.Error)) {
		return err
	}
	return errors.New("not compared with the database yet")
}

func (c *Check) run(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done {
		return c.err
	}
	var mismatches []error
	for _, compare := range []func(context.Context) (error, error){c.platform, c.schemas, c.prefixes, c.tenants} {
		mismatch, err := compare(ctx)
		if err != nil {
			return err
		}
		if mismatch != nil {
			mismatches = append(mismatches, mismatch)
		}
	}
	if c.done = true; len(mismatches) > 0 {
		c.err = config.Wrong(errors.Join(mismatches...))
	}
	return c.err
}

// platform fails when the platform's name is derived from the domain and all records are another platform's: either the
// domain was changed, and no existing object would be this platform's any more, or the database is a copy. The operator has
// to decide.
func (c *Check) platform(ctx context.Context) (mismatch, err error) {
	if c.hasName || !c.rdb.Configured() && !c.kv.Configured() {
		return nil, nil
	}
	ours, all, err := c.store.CountNames(ctx)
	if err != nil || ours > 0 || all == 0 {
		return nil, err
	}
	return fmt.Errorf("platform: all recorded schemas and namespaces of users were made under another domain: if the domain was "+
		"changed, "+
		"set platform to the old domain; if this database is a copy, set platform to a new name (%d records)", all), nil
}

func (c *Check) schemas(ctx context.Context) (mismatch, err error) {
	if !c.rdb.Configured() {
		return nil, nil
	}
	return c.resourceNames(ctx, "combinator.rdb.names", store.RDB, "schemas", c.rdb.Name)
}

func (c *Check) prefixes(ctx context.Context) (mismatch, err error) {
	if !c.kv.Configured() {
		return nil, nil
	}
	return c.resourceNames(ctx, "combinator.kv.prefix", store.KV, "namespaces", c.kv.Name)
}

func (c *Check) resourceNames(
	ctx context.Context, key, kind, what string, name func(engine.Resource) string,
) (mismatch, err error) {
	all := differences{key: key, what: what}
	for after := int64(0); ; {
		names, err := c.store.ListNames(ctx, kind, after, pageSize)
		if err != nil {
			return nil, err
		}
		for _, n := range names {
			all.compare(n.Name, name(n.Resource))
			after = n.ID
		}
		if len(names) < pageSize {
			return all.err(), nil
		}
	}
}

func (c *Check) tenants(ctx context.Context) (mismatch, err error) {
	if !c.rdb.Configured() {
		return nil, nil
	}
	all := differences{key: "combinator.rdb.names", what: "roles and databases of users"}
	for after := ""; ; {
		tenants, err := c.store.ListTenants(ctx, after, pageSize)
		if err != nil {
			return nil, err
		}
		for _, t := range tenants {
			names := c.rdb.TenantNames(t.UserUID)
			recorded := names.WithRecorded(t.Names)
			all.compare(strings.TrimSpace(recorded.Role+" "+recorded.Database), strings.TrimSpace(names.Role+" "+names.Database))
			after = t.UserUID
		}
		if len(tenants) < pageSize {
			return all.err(), nil
		}
	}
}

// differences counts the recorded names that the templates do not give.
type differences struct {
	key, what   string
	count       int
	is, wouldBe string
}

func (d *differences) compare(is, wouldBe string) {
	if is == wouldBe {
		return
	}
	if d.count++; d.count == 1 {
		d.is, d.wouldBe = is, wouldBe
	}
}

func (d *differences) err() error {
	if d.count == 0 {
		return nil
	}
	return fmt.Errorf("%s: %d existing %s have other names (%s would be %s): restore the templates, or move the data first",
		d.key, d.count, d.what, d.is, d.wouldBe)
}
