package clientlog_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	corev1 "k8s.io/api/core/v1"

	"app238.com/inner/app/kube/clientlog"
)

func TestLinesHaveConstantMessageAndNoObjects(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zapcore.DebugLevel)
	log := clientlog.New(zap.New(core)).WithValues("resource", "secrets").WithName("reflector")
	secret := &corev1.Secret{Data: map[string][]byte{"K": []byte("marker")}, StringData: map[string]string{"K": "marker"}}
	log.Info("Watch closed", "object", secret, "count", 3, "long", strings.Repeat("x", 5000))
	log.Error(errors.New("dial with sk_marker failed"), "Failed to watch", "err", errors.New("x"))
	log.V(4).Info("marker: whole request")

	entries := logs.All()
	require.Len(t, entries, 2)
	require.Equal(t, "kubernetes client", entries[0].Message)
	require.Equal(t, "Watch closed", entries[0].ContextMap()["text"])
	require.Equal(t, "secrets", entries[0].ContextMap()["client.resource"])
	require.EqualValues(t, 3, entries[0].ContextMap()["client.count"])
	require.Equal(t, "kubernetes client failed", entries[1].Message)
	require.Equal(t, zapcore.WarnLevel, entries[1].Level)
	for _, entry := range entries {
		require.NotContains(t, fmt.Sprint(entry.ContextMap()), "marker")
		require.Less(t, len(fmt.Sprint(entry.ContextMap())), 1000)
	}
}
