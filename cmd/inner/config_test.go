package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/config"
	"app238.com/inner/configs"
)

func settings(t *testing.T, content string) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "inner.yaml")
	require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
	return file
}

func TestConfigCheckNamesInvalidSettings(t *testing.T) {
	t.Parallel()
	valid := settings(t, "domain: a.b")
	out, err := execute(t, "config", "check", "--config", valid, "-d", "postgres://u:hunter2@h/d")
	require.NoError(t, err)
	require.Equal(t, "the settings are valid\n", out)
	for want, args := range map[string][]string{
		"tasks.wrkers: unknown setting": {"--config", settings(t, "domain: a.b\ntasks: {wrkers: 1}"), "-d",
			"postgres://u:hunter2@h/d"},
		"domain: required":                         {"-d", "postgres://u:hunter2@h/d"},
		"database.dsn: required":                   {"--config", valid},
		"database.dsn: not a valid postgres:// UR": {"--config", valid, "-d", "mysql://u:hunter2@h/d"},
		"kubernetes.kubeconfig: ":                  {"--config", valid, "-d", "postgres://u:hunter2@h/d", "-k", "/none"},
		"--config: open /none":                     {"--config", "/none"},
		"http.access.tasks.labels: must be a label selector": {"-d", "postgres://h/d", "--config",
			settings(t, "domain: a.b\nhttp: {access: {tasks: {mode: pods, namespace: x, labels: app in}}}")},
		"combinator.pods.labels: must be a label selector": {"-d", "postgres://h/d", "--config",
			settings(t, "domain: a.b\ncombinator: {pods: {labels: 'app: x'}}")},
	} {
		_, err := execute(t, append([]string{"config", "check"}, args...)...)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "hunter2")
		require.Equal(t, exitUsage, exitStatus(err), err)
	}
}

func TestConfigCheckNamesUnknownVariable(t *testing.T) {
	t.Setenv("INNER_TASK_WORKERS", "8")
	_, err := execute(t, "config", "check", "--config", settings(t, "domain: a.b"), "-d", "postgres://h/d")
	require.EqualError(t, err, "INNER_TASK_WORKERS: unknown setting; did you mean INNER_TASKS_WORKERS?")
}

func TestConfigCheckNamesEverythingAtOnce(t *testing.T) {
	t.Setenv("INNER_TASK_WORKERS", "8")
	_, err := execute(t, "config", "check", "--config", settings(t, `
domain: A.B
drainTime: 3s
tasks: {wrkers: 1, workers: many, pollInterval: 0s}
database: {statementTimeout: soon}
http: {listen: nowhere}
`), "-d", "mysql://h/d")
	require.Equal(t, exitUsage, exitStatus(err), err)
	lines := strings.Split(err.Error(), "\n")
	require.Len(t, lines, 9, "%s", err)
	for i, want := range []string{
		"INNER_TASK_WORKERS: unknown setting; did you mean INNER_TASKS_WORKERS?",
		"draintime: unknown setting; did you mean http.drainTime?",
		"tasks.wrkers: unknown setting; did you mean tasks.workers?",
		"database.statementTimeout: ", "tasks.workers: ", "domain: must be a DNS name", "tasks.pollInterval: must be ", "http.listen: ",
		"database.dsn: not a valid postgres:// URL",
	} {
		require.Contains(t, lines[i], want, "%s", err)
	}
}

func TestUnknownNamesSuggestTheNearest(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		`unknown command "statsu" for "inner"; did you mean status?`:   {"statsu"},
		`unknown command "lsit" for "inner tasks"; did you mean list?`: {"tasks", "lsit"},
		`unknown command "task" for "inner"; did you mean tasks?`:      {"help", "task"},
		`unknown command "nonsense" for "inner"`:                       {"nonsense"},
		`unknown flag: --statsu; did you mean --status?`:               {"tasks", "list", "--statsu", "error"},
		`unknown flag: --confg; did you mean --config?`:                {"tasks", "list", "--confg", "x"},
		`; did you mean worker.deploy_worker?`:                         {"run-job", "worker.deploy_workr"},
	} {
		_, err := execute(t, args...)
		require.ErrorContains(t, err, want)
		require.Equal(t, exitUsage, exitStatus(err))
	}
}

func TestConfigurationFileIsNamedByVariable(t *testing.T) {
	t.Setenv("INNER_CONFIG", settings(t, "domain: a.b\ntasks: {workers: 9}"))
	out, err := execute(t, "config", "print")
	require.NoError(t, err)
	require.Contains(t, out, "workers: 9 # default: 4")
	out, err = execute(t, "config", "print", "--config", settings(t, "tasks: {workers: 8}"))
	require.NoError(t, err)
	require.Contains(t, out, "workers: 8 # default: 4", "the flag overrides the variable")
	out, err = execute(t, "config", "print", "--config", "")
	require.NoError(t, err)
	require.NotContains(t, out, "default: 4")
	t.Setenv("INNER_CONFIG", "/none")
	_, err = execute(t, "config", "print")
	require.ErrorContains(t, err, "INNER_CONFIG: open /none")
}

func TestConfigPrintMasksSecrets(t *testing.T) {
	t.Parallel()
	out, err := execute(t, "config", "print", "--config", settings(t, "domain: a.b\ntasks: {workers: 9}"), "-d",
		"postgres://u:hunter2@h/d")
	require.NoError(t, err)
	require.Contains(t, out, "workers: 9 # default: 4")
	require.NotContains(t, out, "hunter2")
	out, err = execute(t, "config", "print", "--defaults")
	require.NoError(t, err)
	require.Equal(t, string(configs.Defaults), out)
}

func TestExitStatusTellsUsageErrorFromFailure(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"nonsense"}, {"tasks", "nonsense"}, {"tasks", "list", "--nonsense"}, {"tasks", "list", "-o", "xml"}, {"tasks", "show"},
		{"serve", "--config", "/none"}, {"completion", "nonsense"}, {"completion", "bash", "more"}, {"help", "nonsense"},
		{"help", "tasks", "nonsense"},
		{"tasks", "list", "--limit", "0"}, {"tasks", "list", "--limit", "1001"}, {"tasks", "list", "--before", "-1"},
		{"tasks", "list", "--status", "x"}, {"tasks", "show", "abc"}, {"tasks", "show", "0"}, {"tasks", "retry", "1", "x"},
		{"tasks", "cancel", "-1"},
		{"usage", "--from", "2026-13-01"}, {"usage", "--to", "x"}, {"usage", "--from", "2026-05-02", "--to", "2026-05-01"},
		{"run-job"}, {"run-job", "x"}, {"run-job", "domain.check", "--info", "{}", "--task", "1"}, {"run-job", "--task", "0"},
		{"run-job", "domain.check", "--timeout", "0s"}, {"domains", "list", "--limit", "0"}, {"domains", "list", "--state", "x"},
		{"domains", "list", "--before", "-1"}, {"domains", "check"}, {"status", "--url", "inner"}, {"status", "--url", ""},
		{"tasks", "list", "-d", "mysql://u@h/d?sslmode=disable"}, {"migrate", "-d", "nonsense"}, {"usage", "-d", ""},
		{"serve", "-d", "nonsense"}, {"audit", "--dry-run", "-k", "/none"}, {"run-job", "domain.check", "-k", "/none"},
		{"status", "-k", "/none"},
		{"serve", "-k", "/none"},
	} {
		// A call that is not refused fails at the database.
		_, err := execute(t,
			append([]string{"-d", "postgres://127.0.0.1:1/none?sslmode=disable", "--config", settings(t, "domain: a.b")}, args...)...)
		require.Equal(t, exitUsage, exitStatus(err), "%v: %v", args, err)
	}
	require.Equal(t, 0, exitStatus(nil))
	require.Equal(t, exitFailure, exitStatus(errors.New("it did not work")))
	require.Equal(t, exitDegraded, exitStatus(errDegraded))
	require.Equal(t, exitUsage, exitStatus(config.Error{}))
	out, err := execute(t, "tasks")
	require.NoError(t, err, "a group of commands prints its help")
	require.Contains(t, out, "Available Commands")
}
