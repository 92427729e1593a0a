// Package monitoring_test has Prometheus' own parser read the alert rules and the queries of the dashboard.
package monitoring_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

const folder = "../../configs/monitoring/"

func TestPrometheusTakesTheAlertRules(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(folder + "alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	groups, faults := rulefmt.Parse(content, false)
	for _, fault := range faults {
		t.Error(fault)
	}
	rules := 0
	for _, group := range groups.Groups {
		rules += len(group.Rules)
	}
	if rules < 10 {
		t.Fatalf("%d rules were found", rules)
	}
}

func TestPrometheusParsesEveryDashboardQuery(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(folder + "dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(content, &board); err != nil {
		t.Fatal(err)
	}
	queries := 0
	for _, panel := range board.Panels {
		for _, target := range panel.Targets {
			queries++
			// Grafana puts a duration there.
			if _, err := parser.ParseExpr(strings.ReplaceAll(target.Expr, "$__rate_interval", "1m")); err != nil {
				t.Errorf("%s: %s: %v", panel.Title, target.Expr, err)
			}
		}
	}
	if queries < 30 {
		t.Fatalf("%d queries were found", queries)
	}
}
