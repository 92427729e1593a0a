package e2e_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/configs"
	"app238.com/inner/test/stack/prometheus"
)

// observed is how long Prometheus scrapes a quiet platform, and pending stands for every `for:` of the rules, minutes to a day:
// an expression that is true for so long on a healthy platform would fire there, too.
const (
	observed = 150 * time.Second
	pending  = 10 * time.Second
)

// waits matches the `for:` of a rule.
var waits = regexp.MustCompile(`(?m)^( +for: )\S+$`)

// counted matches what a rule counts over a time.
var counted = regexp.MustCompile(`(?:increase|rate)\((inner_[^\[]+)\[`)

func TestFreshInstallationFiresNoAlert(t *testing.T) {
	t.Parallel()
	if _, _, err := prometheus.Programs(t.Context()); err != nil {
		t.Skipf("no Prometheus: %v", err)
	}
	w := newFixture(t)
	i := w.start(t)
	rules := waits.ReplaceAll(configs.Alerts, fmt.Appendf(nil, "${1}%s", pending))
	server, err := prometheus.Start(t.Context(),
		prometheus.Options{Folder: t.TempDir(), Targets: []string{strings.TrimPrefix(i.url, "http://")}, Rules: rules})
	require.NoError(t, err)
	t.Cleanup(server.Close)
	query := func(expression string) []prometheus.Sample {
		found, err := server.Query(t.Context(), expression)
		require.NoError(t, err)
		return found
	}

	scraped := fmt.Sprintf("count_over_time(up[1h]) > %d", int(observed.Seconds()))
	require.Eventually(t, func() bool { return len(query(scraped)) == 1 }, observed+timeout, time.Second, "not scraped")
	require.Empty(t, query(`count by (alertname) (count_over_time(ALERTS{alertstate="firing"}[1h]))`))
	require.Empty(t, query(`sum_over_time(up[1h]) < 0.9 * count_over_time(up[1h])`), "most scrapes succeed")
	require.Empty(t, query(`sum by (route) (inner_http_requests_total{status=~"5.."}) > 0`))
	for _, counted := range counted.FindAllStringSubmatch(string(configs.Alerts), -1) {
		require.NotEmpty(t, query(counted[1]), "a first burst of it would not be counted")
	}
	require.NotEmpty(t, query("inner_audit_finished_timestamp_seconds"), "the audit at the start is part of what was observed")

	i.kill()
	require.Eventually(t, func() bool { return len(query(`ALERTS{alertname="InnerDown",alertstate="firing"}`)) == 1 },
		timeout, time.Second, "the rules are not evaluated")
}
