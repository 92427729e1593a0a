package logging_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"app238.com/inner/app/logging"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRedactMasksSecretsOnly(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"dial postgres://inner:hunter2@db:5432/x failed":                      "dial postgres://inner:***@db:5432/x failed",
		"dial postgres://inner:hunt@er2@db:5432/x failed":                     "dial postgres://inner:***@db:5432/x failed",
		"postgres://db/x?user=a&password=hunter2&sslmode=off":                 "postgres://db/x?user=a&password=***&sslmode=off",
		"host=db password=hunter2 user=inner":                                 "host=db password=*** user=inner",
		"host=db password='hunter 2' user=inner":                              "host=db password=*** user=inner",
		`host=db password='hunt\'er 2' user=inner`:                            "host=db password=*** user=inner",
		"host=db password='hunter 2":                                          "host=db password=***",
		"INNER_TOKEN=hunter2":                                                 "INNER_TOKEN=***",
		"key sk_live-1234_ab is wrong":                                        "key sk_*** is wrong",
		"Authorization: Bearer abc.def":                                       "Authorization: ***",
		"sent Bearer abc.def twice":                                           "sent Bearer *** twice",
		"Authorization: Basic aHVudGVyMg==":                                   "Authorization: ***",
		"map[Authorization:[Basic aHVudGVyMg==]]":                             "map[Authorization:[***",
		"-----BEGIN EC PRIVATE KEY-----\nMHc\n-----END EC PRIVATE KEY-----\n": "-----BEGIN EC PRIVATE KEY-----***\n",
		`spec.env: Invalid value: "hunter2": must be short`:                   `spec.env: Invalid value: "***": must be short`,
		`spec: Invalid value: "hunt\"er2": no`:                                `spec: Invalid value: "***": no`,
		`data: Invalid value: map[string]interface {}{"A":"hunter2"}: no`:     `data: Invalid value: ***`,
		`pq: invalid input syntax for type json: "hunter2"`:                   `pq: invalid input syntax for type json: "***"`,
		`strconv.Atoi: parsing "hunter2": invalid syntax`:                     `strconv.Atoi: parsing "***": invalid syntax`,
		`duplicate key: Key (secret_key)=(hunter2) already exists.`:           `duplicate key: Key (secret_key)=(***) already exists.`,
		`Failing row contains (1, hunter2, (x)).`:                             `Failing row contains (***).`,
		`{"task_info":{"data":{"A":"hunter2"}},"task_id":7}`:                  `{"task_info":"***","task_id":7}`,
		`sent {"worker_id":"w","env_json":"{\"A\":\"hunter2\"}"} twice`:       `sent {"worker_id":"w","env_json":"***"} twice`,
		`got {"name":"A","value":"hunter2"}, {"name":"B","value":7}`:          `got {"name":"A","value":"***"}, {"name":"B","value":"***"}`,
		`"{\"data\":{\"A\":\"hunter2\"}}"`:                                    `"{\"data\":"***"`,
		`{"user_uid":"u","data":{"A":"hunter2"`:                               `{"user_uid":"u","data":"***"`,
		`{"secretKey" : "hunter2", "apiToken": "hunter2", "kind": "Secret"}`:  `{"secretKey" : "***", "apiToken": "***", "kind": "Secret"}`,
		`Get "https://127.0.0.1:6443/api": connection lost`:                   `Get "https://127.0.0.1:6443/api": connection lost`,
		`relation "console_tasks" does not exist`:                             `relation "console_tasks" does not exist`,
		`secrets "w-hello-demo-secret" not found`:                             `secrets "w-hello-demo-secret" not found`,
		`{"worker_id":"w","version_id":3}`:                                    `{"worker_id":"w","version_id":3}`,
		`task_info.data: required`:                                            `task_info.data: required`,
	} {
		require.Equal(t, want, logging.Redact(text))
	}
}

func TestErrorFieldIsRedacted(t *testing.T) {
	t.Parallel()
	require.Equal(t, "sk_***", logging.Error(errors.New("sk_secret")).String)
}

// FuzzNoSecretIsLeft redacts texts with a secret in the usual places.
func FuzzNoSecretIsLeft(f *testing.F) {
	f.Add("hunter2", "before ", " after")
	f.Add(`a'b"c\d`, `{"x":`, `"}`)
	f.Add("sk_@:/ =", "=", ":")
	f.Fuzz(func(t *testing.T, secret, before, after string) {
		const mark = "S3CR3TMARK"
		if strings.Contains(before+after, mark) || strings.ContainsAny(before, `"'\`) {
			return
		}
		encoded, err := json.Marshal(secret + mark)
		require.NoError(t, err)
		quoted := strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(secret + mark)
		for _, text := range []string{
			"postgres://u:" + url.QueryEscape(secret+mark) + "@h/d",
			"password='" + quoted + "'",
			`{"data":` + string(encoded) + `}`,
			`{"secret_key":{"a":[` + string(encoded) + `]}}`,
			fmt.Sprintf("Invalid value: %q: must not", secret+mark),
			"authorization: bearer " + mark,
			"sk_" + mark,
		} {
			got := logging.Redact(before + " " + text + " " + after)
			require.NotContains(t, got, mark, "of %q", text)
			require.NotContains(t, logging.Redact(got), mark)
		}
	})
}

func BenchmarkRedactOfAnOrdinaryLine(b *testing.B) {
	texts := []string{"POST", "/api/acceptTask", "127.0.0.1:43210", "KZ3XQ5TJ2ZJ7V2W6N4ZQ3YB5XA"}
	for b.Loop() {
		for _, text := range texts {
			logging.Redact(text)
		}
	}
}
