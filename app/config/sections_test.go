package config_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"app238.com/inner/app/config"
)

// load parses args after putting content into a file given by --config.
func load(t *testing.T, content string, args ...string) (*config.Config, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "inner.yaml")
	require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	config.AddFlags(flags)
	require.NoError(t, flags.Parse(append([]string{"--config", file}, args...)))
	return config.Load(flags)
}

func TestDefaultsComeFromTheDocumentedFile(t *testing.T) {
	t.Parallel()
	c, err := load(t, "domain: example.com")
	require.NoError(t, err)
	require.Equal(t, "0.0.0.0:9901", c.HTTP.Listen)
	require.Equal(t, 4, c.Tasks.Workers)
	require.Equal(t, 512, c.Tasks.Buffer)
	require.Equal(t, 15*time.Second, c.Tasks.TakeoverAfter)
	require.Equal(t, config.Namespaces{Control: "console", Worker: "worker", Ingress: "ingress", Combinator: "combinator"},
		c.Kubernetes.Namespaces)
}

func TestFlagsOverrideTheFile(t *testing.T) {
	t.Parallel()
	c, err := load(t, "domain: example.com\nhttp: {listen: \"1.2.3.4:1\"}", "-l", "127.0.0.1:7", "-d", "postgres://x", "-k", "/kc")
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:7", c.HTTP.Listen)
	require.Equal(t, "postgres://x", c.Database.DSN.Reveal())
	require.Equal(t, "/kc", c.Kubernetes.Kubeconfig)
}

// invalidSettings are configurations, and a part of the error of each.
var invalidSettings = map[string]string{
	"domain: ''":                                                             "domain: required",
	"domain: 'Not A Name'":                                                   "domain",
	"domain: a.b\nplatform: 'a b'":                                           "platform",
	"domain: a.b\ntaskz: {workers: 1}":                                       "taskz",
	"domain: a.b\ntasks: {wrkers: 1}":                                        "wrkers",
	"domain: a.b\ntasks: {workers: 0}":                                       "tasks.workers",
	"domain: a.b\ntasks: {workers: many}":                                    "tasks.workers",
	"domain: a.b\ntasks: {pollInterval: soon}":                               "pollInterval",
	"domain: a.b\ntasks: {takeoverAfter: 1s}":                                "tasks.takeoverAfter",
	"domain: a.b\nhttp: {listen: nowhere}":                                   "http.listen",
	"domain: a.b\nhttp: {listen: '0.0.0.0:99901'}":                           "http.listen",
	"domain: a.b\nhttp: {metricsListen: '0.0.0.0:none'}":                     "http.metricsListen",
	"domain: a.b\nhttp: {metricsListen: '127.0.0.1:9901'}":                   "http.metricsListen",
	"domain: a.b\nprofiling: {listen: '127.0.0.1:9901'}":                     "profiling.listen",
	"domain: a.b\ncontroller: {limits: {cpu: 0}}":                            "controller.limits.cpu",
	"domain: a.b\ncontroller: {limits: {memory: 1GB}}":                       "controller.limits.memory",
	"domain: a.b\ncontroller: {limits: {disk: ''}}":                          "controller.limits.disk",
	"domain: a.b\ncontroller: {limits: {replicas: 0}}":                       "controller.limits.replicas",
	"domain: a.b\nlog: {format: xml}":                                        "log.format",
	"domain: a.b\nkubernetes: {namespaces: {worker: A_B}}":                   "kubernetes.namespaces.worker",
	"domain: a.b\nkubernetes: {namespaces: {ingress: worker}}":               "kubernetes.namespaces.ingress",
	"domain: a.b\ndomains: {targets: [x.svc.cluster.local]}":                 "domains.targets",
	"domain: a.b\ndomains: {targets: ['a b.test']}":                          "domains.targets",
	"domain: a.b\ndomains: {issuer: ''}":                                     "domains.issuer",
	"domain: a.b\ndomains: {removalShare: 2}":                                "domains.removalShare",
	"domain: a.b\ndomains: {checks: 0}":                                      "domains.checks",
	"domain: a.b\ndomains: {retryInterval: 0s}":                              "domains.retryInterval",
	"domain: a.b\ndomains: {dns: {resolvers: [dns.test]}}":                   "domains.dns.resolvers",
	"domain: a.b\ndomains: {dns: {roots: [a.test]}}":                         "domains.dns.roots",
	"domain: a.b\ndomains: {dns: {port: 70000}}":                             "domains.dns.port",
	"domain: a.b\nhttp: {access: {secrets: {mode: all}}}":                    "http.access.secrets.mode",
	"domain: a.b\nhttp: {access: {secrets: {mode: token}}}":                  "http.access.secrets",
	"domain: a.b\nhttp: {access: {secret: {mode: none}}}":                    "did you mean http.access.secrets.mode?",
	"domain: a.b\ntasks: {lanes: {shema: 16}}":                               "did you mean tasks.lanes.schema?",
	"domain: a.b\ncombinator: {rdb: {roles: all}}":                           "combinator.rdb.roles",
	"domain: a.b\ncombinator: {rdb: {names: {schema: 's_{resource_id}'}}}":   "combinator.rdb.names.schema",
	"domain: a.b\ncombinator: {rdb: {names: {role: 'r{user_uid}'}}}":         "combinator.rdb.names",
	"domain: a.b\ncombinator: {kv: {prefix: 'kv_{user_uid}_{resource_id}'}}": "combinator.kv.prefix",
	"domain: a.b\ncombinator: {kv: {prefix: 'kv/{resource_id}/'}}":           "combinator.kv.prefix",
	"domain: a.b\ncombinator: {kv: {embedded: /x, pd: ['127.0.0.1:1']}}":     "combinator.kv.embedded",
	"domain: a.b\ncombinator: {kv: {tls: {ca: /x, certificate: /y}}}":        "combinator.kv.tls",
	"domain: [": "--config",

	"domain: a.b\ncontroller: {resyncInterval: 0s}":                         "controller.resyncInterval",
	"domain: a.b\ncontroller: {writeRateLimit: {burst: 0}}":                 "controller.writeRateLimit.burst",
	"domain: a.b\ncontroller: {leaderElection: {lease: A_B}}":               "controller.leaderElection.lease",
	"domain: a.b\ncontroller: {leaderElection: {leaseDuration: 1500ms}}":    "controller.leaderElection.leaseDuration",
	"domain: a.b\ncontroller: {leaderElection: {renewDeadline: 9s}}":        "controller.leaderElection.renewDeadline",
	"domain: a.b\ncontroller: {leaderElection: {retryPeriod: 4s}}":          "controller.leaderElection.retryPeriod",
	"domain: a.b\ncontroller: {minReady: 1500ms}":                           "controller.minReady",
	"domain: a.b\ncontroller: {minReady: 5m}":                               "controller.minReady",
	"domain: a.b\ncontroller: {pods: {stopDelay: 1ms}}":                     "controller.pods.stopDelay",
	"domain: a.b\ncontroller: {pods: {imagePullSecrets: [A_B]}}":            "controller.pods.imagePullSecrets",
	"domain: a.b\ncontroller: {networkPolicy: {dnsNamespace: A_B}}":         "controller.networkPolicy.dnsNamespace",
	"domain: a.b\ncontroller: {networkPolicy: {dnsNetworks: [10.0.0.1/8]}}": "controller.networkPolicy.dnsNetworks",
	"domain: a.b\ncontroller: {networkPolicy: {privateNetworks: [x]}}":      "controller.networkPolicy.privateNetworks",
	"domain: a.b\nhttp: {maxRequests: 0}":                                   "http.maxRequests",
	"domain: a.b\nhttp: {bodyMemory: 10}":                                   "http.bodyMemory",
	"domain: a.b\nhttp: {headerLimit: 10}":                                  "http.headerLimit",
	"domain: a.b\nhttp: {writeTimeout: 1s}":                                 "http.writeTimeout",
	"domain: a.b\nhttp: {tls: {certificate: /x}}":                           "http.tls.key",
	"domain: a.b\nhttp: {tls: {clientCA: /x}}":                              "http.tls.clientCA",
	"domain: a.b\nprofiling: {listen: \"0.0.0.0:9902\"}":                    "profiling.listen",
	"domain: a.b\ntracing: {endpoint: \"collector:4318\"}":                  "tracing.endpoint",
	"domain: a.b\ntasks: {heartbeatInterval: 6s}":                           "tasks.heartbeatInterval",
	"domain: a.b\ntasks: {takeoverAfter: 8s}":                               "tasks.takeoverAfter",
	"domain: a.b\ntasks: {takeoverAfter: 3ms, heartbeatInterval: 1ms}":      "tasks.takeoverAfter",
	"domain: a.b\ndatabase: {connectTimeout: 20s}":                          "database.connectTimeout",
	"domain: a.b\ntasks: {workers: 1000000}":                                "tasks.workers: must be 1 to 1000",
	"domain: a.b\ntasks: {retryDelay: 6m}":                                  "tasks.retryDelay: must be at most tasks.retryDelayMax",
	"domain: a.b\ntasks: {retention: {finished: 1ms}}":                      "tasks.retention.finished: must be 1m0s to ",
	"domain: a.b\ntasks: {lanes: {slow: 5000}}":                             "tasks.lanes.slow",
	"domain: a.b\ndatabase: {statementTimeout: 1ms}":                        "database.statementTimeout",
	"domain: a.b\ndatabase: {maxIdleConnections: -1}":                       "database.maxIdleConnections",
	"domain: a.b\nhttp: {readHeaderTimeout: 20s}":                           "http.readHeaderTimeout",
	"domain: a.b\nhttp: {requestTimeout: 45s}":                              "http.writeTimeout",
	"domain: a.b\ncontroller: {retryDelay: 1h}":                             "controller.retryDelay",
	"domain: a.b\naudit: {callTimeout: 59m, timeout: 1m}":                   "audit.callTimeout",
	"domain: a.b\naudit: {maxShrink: 0}":                                    "audit.maxShrink: must be above 0",
	"domain: a.b\ndomains: {dns: {timeout: 21s}}":                           "domains.dns.timeout",
	"domain: a.b\ndomains: {jobTimeout: 10s}":                               "domains.checkTimeout",
	"domain: a.b\ncombinator: {rdb: {lockTimeout: 2m}}":                     "combinator.rdb.lockTimeout",
	"domain: a.b\ntracing: {ratio: 2}":                                      "tracing.ratio",
}

func TestPlatformMarkIsOfNameElseDomain(t *testing.T) {
	t.Parallel()
	mark := func(content string) string {
		c, err := load(t, content)
		require.NoError(t, err)
		return c.PlatformMark()
	}
	require.Regexp(t, `^[0-9a-f]{16}$`, mark("domain: a.b"))
	require.Equal(t, mark("domain: a.b"), mark("domain: c.d\nplatform: a.b"))
	require.NotEqual(t, mark("domain: a.b"), mark("domain: c.d"))
	require.NotEqual(t, mark("domain: a.b"), mark("domain: a.b\nplatform: staging"))
}

func TestCommandsWithoutTheDomainInventNone(t *testing.T) {
	t.Parallel()
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	config.AddFlags(flags)
	c, err := config.LoadForDatabase(flags)
	require.NoError(t, err)
	require.Empty(t, c.Domain)
	require.Empty(t, c.PlatformMark())
	document, err := c.Document()
	require.NoError(t, err)
	require.Contains(t, string(document), "\ndomain: \"\"\n")
}

func TestErrorsNameInvalidSettings(t *testing.T) {
	t.Parallel()
	for content, want := range invalidSettings {
		_, err := load(t, content)
		require.ErrorContains(t, err, want, content)
	}
}

func TestVariablesOverrideFileAndENVTestNeedsNoDomain(t *testing.T) {
	t.Setenv("INNER_TASKS_WORKERS", "9")
	t.Setenv("INNER_DATABASE_DSN", "postgres://y")
	t.Setenv("DOMAIN", "from.variable")
	t.Setenv("INNER_CONTROLLER_PODS_IMAGEPULLSECRETS", "one,two")
	t.Setenv("INNER_DOMAINS_TARGETS", "a.test,b.test")
	c, err := load(t, "tasks: {workers: 2}")
	require.NoError(t, err)
	require.Equal(t, 9, c.Tasks.Workers)
	require.Equal(t, "postgres://y", c.Database.DSN.Reveal())
	require.Equal(t, "from.variable", c.Domain)
	require.Equal(t, []string{"one", "two"}, c.Controller.Pods.ImagePullSecrets)
	require.Equal(t, []string{"a.test", "b.test"}, c.Domains.Targets)
	t.Setenv("DOMAIN", "")
	t.Setenv("ENV", "test")
	c, err = load(t, "")
	require.NoError(t, err)
	require.True(t, c.Debug)
	require.NotEmpty(t, c.Domain)
}

func TestSecretIsNeverPrinted(t *testing.T) {
	t.Parallel()
	c := config.Database{DSN: "postgres://u:hunter2@h/d"}
	encoded, err := json.Marshal(c)
	require.NoError(t, err)
	for _, shown := range []string{fmt.Sprint(c), fmt.Sprintf("%+v %#v %s", c, c, c.DSN), string(encoded)} {
		require.NotContains(t, shown, "hunter2")
	}
}
