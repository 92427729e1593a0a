package domains_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOverwrittenStatusIsRestoredWithinTwoSeconds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	// Neither scan nor resync restores it.
	b.config.Domains.ResyncInterval, b.config.Domains.ScanInterval = time.Hour, 3*time.Second
	_, stop := b.start()
	r := b.serve("www")
	overwritten := func() {
		b.exec(`UPDATE custom_domains SET status = 'error'`)
		begin := time.Now()
		b.awaitState(r, "verified", "success")
		require.Less(t, time.Since(begin), 2*time.Second)
	}
	overwritten()
	overwritten()
	stop()
	b.start()
	overwritten()
}
