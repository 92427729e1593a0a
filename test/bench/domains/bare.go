package main

import (
	"context"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sync/errgroup"
)

// answerLimit is the longest wait for one answer.
const answerLimit = 10 * time.Second

// bare sends so many queries, as many at a time as the check does, and returns how long that takes.
func (w *fixture) bare(ctx context.Context, queries int) (time.Duration, error) {
	// Any of them: all answer as late.
	server := netip.AddrPortFrom(w.servers[0].Addr, uint16(w.dns.Port)).String()
	group, ctx := errgroup.WithContext(ctx)
	var left atomic.Int64
	left.Store(int64(queries))
	begin := time.Now()
	for range w.options.queries {
		group.Go(func() error {
			client := &dns.Client{Timeout: answerLimit}
			for left.Add(-1) >= 0 {
				m := new(dns.Msg)
				m.SetQuestion("www."+zone(0)+".", dns.TypeTXT)
				if _, _, err := client.ExchangeContext(ctx, m, server); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := group.Wait()
	return time.Since(begin), err
}
