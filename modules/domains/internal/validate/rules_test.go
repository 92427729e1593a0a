package validate_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/config"
	"app238.com/inner/modules/domains/internal/validate"
)

const value = "combinator-verify=0123456789abcdef0123456789ABCDEF"

// row returns a valid row.
func row() validate.Row {
	return validate.Row{CDID: "0a1b2c3d", UserUID: "u1", Domain: "www.example.com", Target: "w1.worker.platform.test",
		TXTName: "_combinator-verify.www.example.com", TXTValue: value}
}

func validateRow(r validate.Row, targets ...string) validate.Result {
	return validate.New(&config.Config{Domain: "platform.test", Domains: config.Domains{Targets: targets}}).Validate(r)
}

func TestCustomDomainOfAWorkerIsValid(t *testing.T) {
	t.Parallel()
	require.Equal(t, validate.Result{Host: "www.example.com", Target: "w1.worker.platform.test"}, validateRow(row()))
	spelled := row()
	spelled.Domain, spelled.Target = "WWW.Example.com.", "W1.Worker.Platform.Test."
	spelled.TXTName = "_Combinator-Verify.www.EXAMPLE.com."
	require.Equal(t, validateRow(row()), validateRow(spelled), "every spelling has the same result")
}

func TestTargetsOutsideThePlatformAreRefused(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{
		"evil.test":                              "does not belong to the platform",
		"platform.test.evil.test":                "does not belong to the platform",
		"xplatform.test":                         "does not belong to the platform",
		"kubernetes.default.svc.cluster.local":   "inside the cluster",
		"db.default.svc":                         "inside the cluster",
		"db.default.svc.platform.test":           "inside the cluster",
		"localhost":                              "one label",
		"metadata.google.internal":               "inside the cluster",
		"10.0.0.1":                               "address",
		"::1":                                    "address",
		"0x7f.0.0.1":                             "address",
		"a`) || Host(`victim.test.platform.test": "not a host name",
		"w1.worker.platform.test:8080":           "not a host name",
		"w1.worker.platform.test/path":           "not a host name",
		"":                                       "not a host name",
		strings.Repeat("a.", 125) + "platform.test": "not a host name",
	} {
		r := row()
		r.Target = target
		require.Contains(t, validateRow(r).Refusal, want, target)
	}
}

func TestTargetsAreConfigurable(t *testing.T) {
	t.Parallel()
	r := row()
	require.Empty(t, validateRow(r, "worker.platform.test").Refusal)
	r.Target = "console.platform.test"
	require.Empty(t, validateRow(r).Refusal)
	require.NotEmpty(t, validateRow(r, "worker.platform.test").Refusal)
	r.Target = "edge.other.test"
	require.Empty(t, validateRow(r, "worker.platform.test", "edge.other.test").Refusal)
}

func TestDomainsOfThePlatformItselfAreRefused(t *testing.T) {
	t.Parallel()
	for _, domain := range []string{
		"platform.test", "x.worker.platform.test", "PLATFORM.test.", "edge.other.test", "a.cluster.local", "x.internal",
	} {
		r := row()
		r.Domain, r.TXTName = domain, "_combinator-verify."+domain
		require.NotEmpty(t, validateRow(r, "worker.platform.test", "edge.other.test").Refusal, domain)
	}
}

func TestOnlyTheDomainsOwnRecordIsAProof(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*validate.Row){
		"another name":  func(r *validate.Row) { r.TXTName = "_combinator-verify.evil.test" },
		"parent's name": func(r *validate.Row) { r.TXTName = "_combinator-verify.example.com" },
		"another label": func(r *validate.Row) { r.TXTName = "www.www.example.com" },
		"no name":       func(r *validate.Row) { r.TXTName = "" },
		"empty value":   func(r *validate.Row) { r.TXTValue = "" },
		"short value":   func(r *validate.Row) { r.TXTValue = "combinator-verify=1" },
		"other value":   func(r *validate.Row) { r.TXTValue = "v=spf1 -all" },
		"identifier":    func(r *validate.Row) { r.CDID = "a`b" },
		"user":          func(r *validate.Row) { r.UserUID = "u;1" },
		"domain too long": func(r *validate.Row) {
			r.Domain = strings.Repeat("aaaaaaaaa.", 24) + "com"
			r.TXTName = "_combinator-verify." + r.Domain
		},
	} {
		r := row()
		change(&r)
		require.NotEmpty(t, validateRow(r).Refusal, name)
	}
}

func TestRevisedRowsAreRefusedLikeNewOnes(t *testing.T) {
	t.Parallel()
	settings := [][]string{nil, {"worker.platform.test"}, {"worker.platform.test", "edge.other.test"}, {"example.com"}}
	validators := make([]*validate.Validator, len(settings))
	for i, targets := range settings {
		validators[i] = validate.New(&config.Config{Domain: "platform.test", Domains: config.Domains{Targets: targets}})
	}
	for name, change := range map[string]func(*validate.Row){
		"valid":          func(*validate.Row) {},
		"other target":   func(r *validate.Row) { r.Target = "x.edge.other.test" },
		"console":        func(r *validate.Row) { r.Target = "console.platform.test" },
		"cluster target": func(r *validate.Row) { r.Target = "db.default.svc.platform.test" },
		"address":        func(r *validate.Row) { r.Target = "10.0.0.1" },
		"no host name":   func(r *validate.Row) { r.Domain = "a`b.example.com" },
		"target as domain": func(r *validate.Row) {
			r.Domain, r.TXTName = "x.edge.other.test", "_combinator-verify.x.edge.other.test"
		},
		"other record": func(r *validate.Row) { r.TXTName = "_combinator-verify.other.example.com" },
		"value":        func(r *validate.Row) { r.TXTValue = "x" },
		"identifier":   func(r *validate.Row) { r.UserUID = "a/b" },
	} {
		r := row()
		change(&r)
		for i, first := range validators {
			for j, second := range validators {
				last, fresh := first.Validate(r), second.Validate(r)
				revised := second.Revise(r, last)
				if fresh.Host == "" || fresh.Target == "" {
					fresh = last // it stays refused, maybe for another reason
				}
				require.Equal(t, fresh, revised, "%s: %v, then %v", name, settings[i], settings[j])
				if reused := fresh; fresh.Refusal == "" {
					reused.Refusal = validate.ReusedValue
					require.Equal(t, reused, second.Revise(r, reused), name)
				}
			}
		}
	}
}
