package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	client "github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"
	"go.yaml.in/yaml/v3"

	"app238.com/inner/app"
	"app238.com/inner/configs"
	"app238.com/inner/test/stack/prometheus"
)

// expressions returns the queries of the alert rules and of the dashboard, by where they stand.
func expressions(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert       string            `yaml:"alert"`
				Expr        string            `yaml:"expr"`
				Labels      map[string]string `yaml:"labels"`
				Annotations map[string]string `yaml:"annotations"`
			} `yaml:"rules"`
		} `yaml:"groups"`
	}
	require.NoError(t, yaml.Unmarshal(configs.Alerts, &rules))
	for _, group := range rules.Groups {
		for _, rule := range group.Rules {
			require.NotEmpty(t, rule.Annotations["summary"], rule.Alert)
			require.NotEmpty(t, rule.Annotations["description"], rule.Alert)
			require.Contains(t, []string{"warning", "critical"}, rule.Labels["severity"], rule.Alert)
			require.Equal(t, "https://runbooks.example.com/inner-gateway/operating.md#"+strings.ToLower(rule.Alert),
				rule.Annotations["runbook_url"])
			all["alert "+rule.Alert] = rule.Expr
		}
	}
	var board struct {
		Panels []struct {
			Title   string `json:"title"`
			Targets []struct {
				Expr  string `json:"expr"`
				RefID string `json:"refId"`
			} `json:"targets"`
		} `json:"panels"`
	}
	require.NoError(t, json.Unmarshal(configs.Dashboard, &board))
	for _, panel := range board.Panels {
		for _, target := range panel.Targets {
			all["panel "+panel.Title+" "+target.RefID] = target.Expr
		}
	}
	return all
}

var (
	metricName = regexp.MustCompile(`\b(?:inner|go|process|promhttp)_[a-z0-9_]+\b`)
	quoted     = regexp.MustCompile(`"[^"]*"`)
	described  = regexp.MustCompile(`fqName: "([^"]+)"`)
)

// names returns the metrics that the whole program registers, whether or not they have a value yet.
func names(t *testing.T) map[string]bool {
	t.Helper()
	c := load(t)
	c.HTTP.Listen, c.Kubernetes.Kubeconfig = "127.0.0.1:0", os.Getenv("INNER_TEST_KUBECONFIG")
	require.NotEmpty(t, c.Kubernetes.Kubeconfig, "INNER_TEST_KUBECONFIG is not set: run the tests with make test")
	c.Kubernetes.Namespaces.Worker, c.Kubernetes.Namespaces.Ingress = "monitoring-worker", "monitoring-ingress"
	var registry *client.Registry
	program := fx.New(app.Serve(c), fx.Populate(&registry), fx.NopLogger)
	require.NoError(t, program.Err())
	require.NoError(t, program.Start(t.Context()))
	defer func() { require.NoError(t, program.Stop(context.Background())) }()
	found := map[string]bool{}
	descriptions := make(chan *client.Desc, 1000)
	registry.Describe(descriptions)
	close(descriptions)
	for d := range descriptions {
		found[described.FindStringSubmatch(d.String())[1]] = true
	}
	families, err := registry.Gather()
	if err != nil { // the database is away, and with it what it knows
		require.NotContains(t, err.Error(), "duplicate")
	}
	for _, family := range families {
		found[family.GetName()] = true
	}
	return found
}

func TestOperatingGuideCoversEveryAlert(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile("../docs/operating.md")
	require.NoError(t, err)
	alerts := map[string]bool{}
	for where := range expressions(t) {
		if name, ok := strings.CutPrefix(where, "alert "); ok {
			alerts[name] = true
			require.Contains(t, string(guide), fmt.Sprintf("| <a id=%q></a>%#q |", strings.ToLower(name), name))
		}
	}
	for _, documented := range regexp.MustCompile("(?m)^\\| .*`(Inner[A-Za-z]+)` \\|").FindAllStringSubmatch(string(guide), -1) {
		require.True(t, alerts[documented[1]], "unknown alert %s", documented[1])
	}
}

// ruleTests returns the names of the unit tests' alerts, by whether the alert is expected.
func ruleTests(t *testing.T, file string) map[bool][]string {
	t.Helper()
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	var tests struct {
		Tests []struct {
			Queries []struct {
				Expr    string `yaml:"expr"`
				Samples []any  `yaml:"exp_samples"`
			} `yaml:"promql_expr_test"`
		} `yaml:"tests"`
	}
	require.NoError(t, yaml.Unmarshal(content, &tests))
	named := regexp.MustCompile(`alertname="(\w+)",alertstate="firing"`)
	found := map[bool][]string{}
	for _, test := range tests.Tests {
		for _, query := range test.Queries {
			name := named.FindStringSubmatch(query.Expr)
			require.NotNil(t, name, query.Expr)
			found[len(query.Samples) > 0] = append(found[len(query.Samples) > 0], name[1])
		}
	}
	return found
}

func TestEveryAlertFiresAndStaysSilent(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../configs/monitoring/*_test.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	tested := map[bool][]string{}
	for _, file := range files {
		for fires, names := range ruleTests(t, file) {
			tested[fires] = append(tested[fires], names...)
		}
	}
	for where := range expressions(t) {
		if name, ok := strings.CutPrefix(where, "alert "); ok {
			require.Contains(t, tested[true], name, "no test has it fire")
			require.Contains(t, tested[false], name, "no test has it stay silent")
		}
	}
	if _, _, err := prometheus.Programs(t.Context()); err != nil {
		t.Skipf("promtool cannot be installed: %v", err)
	}
	for _, file := range files {
		require.NoError(t, prometheus.TestRules(t.Context(), file))
	}
}

func TestAlertsAndDashboardCoverAllMetrics(t *testing.T) {
	t.Parallel()
	there, used := names(t), map[string]bool{}
	queries := expressions(t)
	require.Greater(t, len(queries), 50)
	for where, query := range queries {
		found := metricName.FindAllString(quoted.ReplaceAllString(query, ""), -1)
		require.NotEmpty(t, found, "%s has no metric", where)
		for _, name := range found {
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				if base := strings.TrimSuffix(name, suffix); there[base] {
					name = base
				}
			}
			require.True(t, there[name], "%s: there is no metric %s", where, name)
			used[name] = true
			require.True(t, strings.HasPrefix(name, "inner_") || strings.Contains(query, "inner_controller_leading") ||
				strings.Contains(query, `db_name="platform"`), "%s: %s of other programs", where, name)
		}
	}
	for name := range there {
		if strings.HasPrefix(name, "inner_") {
			require.True(t, used[name], "%s is neither in the dashboard nor in an alert", name)
		}
	}
}
