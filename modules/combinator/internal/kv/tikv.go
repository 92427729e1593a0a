//go:build !darwin || cgo

package kv

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	tikverr "github.com/tikv/client-go/v2/error"
	tikvkv "github.com/tikv/client-go/v2/kv"
	"github.com/tikv/client-go/v2/oracle"
	"github.com/tikv/client-go/v2/tikv"

	"app238.com/inner/app/guard"
	"app238.com/inner/modules/combinator/internal/engine"
)

const (
	// maxInFlight bounds the operations in flight, so that a hanging store does not accumulate goroutines.
	maxInFlight = 8
	// maxAttempts bounds the runs of a transaction after write conflicts.
	maxAttempts = 10
	// clearConcurrency is the number of regions that are cleared at once.
	clearConcurrency = 4
)

// tikvClient implements kvClient with TiKV's client.
type tikvClient struct {
	kv       *tikv.KVStore
	inFlight chan struct{}
	wg       sync.WaitGroup
}

func newClient(kv *tikv.KVStore) *tikvClient {
	return &tikvClient{kv: kv, inFlight: make(chan struct{}, maxInFlight)}
}

// runBounded runs an operation and abandons it when ctx ends, as not all calls of TiKV's client take a context. An abandoned
// operation ends at its next wait, because killed is set, or at the client's own limits; close waits for it.
func runBounded[T any](
	ctx context.Context, s *tikvClient, operation func(ctx context.Context, vars *tikvkv.Variables) (T, error),
) (T, error) {
	type result struct {
		value T
		err   error
	}
	var none T
	select {
	case s.inFlight <- struct{}{}:
	case <-ctx.Done():
		return none, fmt.Errorf("%w: too many operations hang", engine.ErrUnavailable)
	}
	killed := new(uint32)
	done := make(chan result, 1)
	s.wg.Go(func() {
		defer func() { <-s.inFlight }()
		var r result
		r.err = guard.Call(func() (err error) {
			if err := engine.CheckDeadline(ctx); err != nil {
				return unavailable(err)
			}
			r.value, err = operation(ctx, tikvkv.NewVariables(killed))
			return err
		})
		done <- r
	})
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		atomic.StoreUint32(killed, 1)
		return none, fmt.Errorf("%w: %w", engine.ErrUnavailable, ctx.Err())
	}
}

// unavailable marks an error of TiKV's client, whose calls fail while the cluster is away, slow or rebalancing.
func unavailable(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", engine.ErrUnavailable, err)
}

func (s *tikvClient) update(ctx context.Context, work func(ctx context.Context, tx transaction) error) error {
	_, err := runBounded(ctx, s, func(ctx context.Context, vars *tikvkv.Variables) (struct{}, error) {
		for run := 1; ; run++ {
			err := s.updateOnce(ctx, vars, work)
			if !tikverr.IsErrWriteConflict(err) || run == maxAttempts || engine.CheckDeadline(ctx) != nil {
				return struct{}{}, err
			}
		}
	})
	return err
}

func (s *tikvClient) updateOnce(
	ctx context.Context, vars *tikvkv.Variables, work func(ctx context.Context, tx transaction) error,
) error {
	tx, err := s.begin(ctx, vars)
	if err != nil {
		return err
	}
	if err = work(ctx, tx); err == nil {
		err = unavailable(engine.CheckDeadline(ctx))
	}
	if err != nil {
		_ = tx.txn.Rollback()
		return err
	}
	if err := tx.txn.Commit(ctx); err != nil {
		return unavailable(err)
	}
	return nil
}

func (s *tikvClient) begin(ctx context.Context, vars *tikvkv.Variables) (*tikvTx, error) {
	ts, err := s.kv.GetOracle().GetTimestamp(ctx, &oracle.Option{TxnScope: oracle.GlobalTxnScope})
	if err != nil {
		return nil, unavailable(err)
	}
	txn, err := s.kv.Begin(tikv.WithStartTS(ts))
	if err != nil {
		return nil, unavailable(err)
	}
	txn.SetVars(vars)
	return &tikvTx{txn: txn}, nil
}

func (s *tikvClient) scan(ctx context.Context, from, to []byte, limit int) ([]pair, error) {
	return runBounded(ctx, s, func(ctx context.Context, vars *tikvkv.Variables) ([]pair, error) {
		tx, err := s.begin(ctx, vars)
		if err != nil {
			return nil, err
		}
		defer func() { _ = tx.txn.Rollback() }()
		it, err := tx.txn.Iter(from, to)
		if err != nil {
			return nil, unavailable(err)
		}
		defer it.Close()
		var found []pair
		for it.Valid() && len(found) < limit {
			found = append(found, pair{key: append([]byte(nil), it.Key()...), value: append([]byte(nil), it.Value()...)})
			if err := it.Next(); err != nil {
				return nil, unavailable(err)
			}
		}
		return found, nil
	})
}

func (s *tikvClient) clear(ctx context.Context, from, to []byte) error {
	_, err := runBounded(ctx, s, func(ctx context.Context, _ *tikvkv.Variables) (int, error) {
		n, err := s.kv.DeleteRange(ctx, from, to, clearConcurrency)
		return n, unavailable(err)
	})
	return err
}

func (s *tikvClient) close() error {
	err := s.kv.Close()
	s.wg.Wait()
	return err
}

type tikvTx struct{ txn *tikv.KVTxn }

func (t *tikvTx) get(ctx context.Context, key []byte) ([]byte, error) {
	entry, err := t.txn.Get(ctx, key)
	if tikverr.IsErrNotFound(err) {
		return nil, nil
	}
	return entry.Value, unavailable(err)
}

func (t *tikvTx) set(key, value []byte) error { return t.txn.Set(key, value) }
func (t *tikvTx) remove(key []byte) error     { return t.txn.Delete(key) }
func (t *tikvTx) now() time.Time              { return oracle.GetTimeFromTS(t.txn.StartTS()) }
