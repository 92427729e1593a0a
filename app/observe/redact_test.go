package observe_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/observe"
)

func TestRedactHidesSecretsAndKeepsTheRest(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"dial postgres://inner:hunter2@db:5432/x failed":    "dial postgres://inner:***@db:5432/x failed",
		"host=db password=hunter2 user=inner":               "host=db password=*** user=inner",
		"host=db password='hunter 2' user=inner":            "host=db password=*** user=inner",
		"key sk_live-1234_ab is wrong":                      "key sk_*** is wrong",
		"Authorization: Bearer abc.def":                     "Authorization: Bearer ***",
		`Get "https://127.0.0.1:6443/api": connection lost`: `Get "https://127.0.0.1:6443/api": connection lost`,
	} {
		require.Equal(t, want, observe.Redact(text))
	}
}

func TestErrorFieldIsRedacted(t *testing.T) {
	t.Parallel()
	require.Equal(t, "sk_***", observe.Error(errors.New("sk_secret")).String)
}
