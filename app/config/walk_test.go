package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/config"
	"app238.com/inner/configs"
)

func TestDocumentedFileExplainsEverySetting(t *testing.T) {
	t.Parallel()
	c, err := load(t, "domain: example.com")
	require.NoError(t, err)
	shown, err := c.Document()
	require.NoError(t, err, "each setting of the type is found in the file")
	for key, comment := range comments(t, string(configs.Defaults)) {
		require.NotEmpty(t, comment, "%s has no explanation", key)
	}
	// What the file holds beyond the type is refused.
	_, err = load(t, string(shown))
	require.NoError(t, err)
}

// comments returns for each line with a key the explanation above it, or above the lines with keys that it follows.
func comments(t *testing.T, file string) map[string]string {
	t.Helper()
	found := map[string]string{}
	var last string
	for line := range strings.Lines(file) {
		text := strings.TrimSpace(line)
		switch {
		case text == "":
			last = ""
		case strings.HasPrefix(text, "#"):
			last = text
		case strings.HasSuffix(text, ":"):
			// A group; what it holds explains itself.
			last = "group"
		default:
			found[text] = last
		}
	}
	require.Greater(t, len(found), 30)
	return found
}

func TestPrintedConfigurationReadsBackTheSame(t *testing.T) {
	t.Parallel()
	c, err := load(t,
		"domain: example.com\ntasks: {workers: 7, pollInterval: 90s, lanes: {slow: 3, schema: 2}}\nlog: {format: console}", "-k", "/kc")
	require.NoError(t, err)
	shown, err := c.Document()
	require.NoError(t, err)
	require.Contains(t, string(shown), "workers: 7 # default: 4")
	require.Contains(t, string(shown), "pollInterval: 1m30s # default: 1s")
	require.Contains(t, string(shown), "# Number of concurrent tasks in this process, in the default lane.")
	again, err := load(t, string(shown))
	require.NoError(t, err)
	require.Equal(t, c, again)
}

func TestPrintedMaskIsRefusedAsSecret(t *testing.T) {
	t.Parallel()
	c, err := load(t, "domain: example.com", "-d", "postgres://u:hunter2@h/d")
	require.NoError(t, err)
	shown, err := c.Document()
	require.NoError(t, err)
	require.NotContains(t, string(shown), "hunter2")
	require.Contains(t, string(shown), `dsn: '***'`)
	_, err = load(t, string(shown))
	require.ErrorContains(t, err, "database.dsn: is a mask")
}

func TestAllErrorsAreReportedAtOnceWithoutSecrets(t *testing.T) {
	t.Parallel()
	_, err := load(t,
		"domain: a.b\ntaskz: 1\ntasks: {wrkers: 1, workers: many}\nhttp: {requestTimeout: soon}\ndatabase: {dsn: {password: hunter2}}")
	for _, want := range []string{"taskz: unknown setting", "tasks.wrkers: unknown setting", "tasks.workers: ",
		"http.requestTimeout: ", "database.dsn: must be a text"} {
		require.ErrorContains(t, err, want)
	}
	require.NotContains(t, err.Error(), "hunter2")
	require.Len(t, strings.Split(err.Error(), "\n"), 5, err.Error())
}

func TestGroupsWithoutSettingsAreReported(t *testing.T) {
	t.Parallel()
	_, err := load(t, "domain: a.b\ntasks: 5\nhttp: [1]\nworkers: {}\ncombinator: {rdb: true, kv: }\ndatabase: {}\ntask: {}")
	for _, want := range []string{"tasks: must be a group of settings", "http: must be a group of settings",
		"combinator.rdb: must be a group of settings"} {
		require.ErrorContains(t, err, want)
	}
	require.NotContains(t, err.Error(), "kv")
	require.NotContains(t, err.Error(), "database")
	_, err = load(t, "domain: a.b\ntasks: {lanes: 8}\nhttp: {access: {tasks: token}}")
	require.ErrorContains(t, err, "tasks.lanes: must be a group of settings")
	require.ErrorContains(t, err, "http.access.tasks: must be a group of settings")
	_, err = load(t, "domain: a.b\n---\ntasks: {workers: 3}")
	require.ErrorContains(t, err, "more than one YAML document")
}

func TestSecretIsReadFromFileOfVariable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "dsn")
	require.NoError(t, os.WriteFile(file, []byte("postgres://from-file/x\n"), 0o600))
	t.Setenv("INNER_DATABASE_DSN_FILE", file)
	c, err := load(t, "domain: a.b\ndatabase: {dsn: 'postgres://from-configuration/x'}")
	require.NoError(t, err)
	require.Equal(t, "postgres://from-file/x", c.Database.DSN.Reveal())
	c, err = load(t, "domain: a.b", "-d", "postgres://from-flag/x")
	require.NoError(t, err)
	require.Equal(t, "postgres://from-flag/x", c.Database.DSN.Reveal())

	t.Setenv("INNER_DATABASE_DSN", "postgres://hunter2/x")
	_, err = load(t, "domain: a.b")
	require.ErrorContains(t, err, "database.dsn: set twice")
	require.NotContains(t, err.Error(), "hunter2")
	t.Setenv("INNER_DATABASE_DSN", "")
	t.Setenv("INNER_DATABASE_DSN_FILE", "postgres://u:hunter2@h/x")
	_, err = load(t, "domain: a.b")
	require.ErrorContains(t, err, "database.dsn: INNER_DATABASE_DSN_FILE: no such file")
	require.NotContains(t, err.Error(), "hunter2", "the variables were mixed up")
}

func TestUnknownVariablesAreFound(t *testing.T) {
	t.Parallel()
	errs := config.UnknownVariables([]string{
		"PATH=/bin", "INNER_TASK_WORKERS=1", "INNER_TASKS_WORKERS=1", "INNER_TASKS_LANES_SLOW=3", "INNER_DATABASE_DSN_FILE=/x",
		"INNER_TASKS_LANES_SHEMA=3", "INNER_HTTP_ACCESS_TASK_MODE=token", "INNER_HTTP_ACCESS_TASKS_MODE=token",
		"INNER_HTTP_LISTEN_FILE=/x", "INNER_DOMAIN=x", "INNER_TEST_DSN=x", "INNER_CACHE=/x",
		"INNER_GATEWAY_SERVICE_HOST=10.0.0.1", "INNER_GATEWAY_SERVICE_PORT_HTTP=9901", "INNER_GATEWAY_PORT=tcp://10.0.0.1:9901",
		"INNER_GATEWAY_PORT_9901_TCP_ADDR=10.0.0.1", "INNER_CONFIG=/x",
	})
	require.EqualError(t, errors.Join(errs...),
		"INNER_HTTP_ACCESS_TASK_MODE: unknown setting; did you mean INNER_HTTP_ACCESS_TASKS_MODE?\n"+
			"INNER_HTTP_LISTEN_FILE: unknown setting; did you mean INNER_HTTP_LISTEN?\n"+
			"INNER_TASKS_LANES_SHEMA: unknown setting; did you mean INNER_TASKS_LANES_SCHEMA?\n"+
			"INNER_TASK_WORKERS: unknown setting; did you mean INNER_TASKS_WORKERS?")
}

func TestDurationsArePrintedShort(t *testing.T) {
	t.Parallel()
	for value, want := range map[time.Duration]string{
		24 * time.Hour: "24h", 90 * time.Second: "1m30s", 10 * time.Minute: "10m", 90 * time.Minute: "1h30m",
		time.Hour + time.Second: "1h0m1s", 250 * time.Millisecond: "250ms", 30 * time.Second: "30s",
	} {
		c, err := load(t, "domain: a.b\ncontroller: {failureGrace: "+value.String()+"}")
		require.NoError(t, err)
		shown, err := c.Document()
		require.NoError(t, err)
		require.Contains(t, string(shown), "failureGrace: "+want+" # default")
	}
}
