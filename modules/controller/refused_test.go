package controller_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"

	"app238.com/inner/modules/controller/workerapp"
	"app238.com/inner/test/admission"
)

func TestWhatTheClusterRefusesToChangeIsNotTakenAway(t *testing.T) {
	t.Parallel()
	for _, edit := range []struct {
		of          int
		kind, patch string
	}{
		{0, "ConfigMap", `{"data": {"GREETING": "forged"}}`},
		{2, "Service", `{"spec": {"selector": {"nobody": "here"}}}`},
		{4, "Service", `{"spec": {"externalName": "elsewhere.test"}}`},
		{5, "IngressRoute", `{"spec": {"tls": {"secretName": "other"}}}`},
	} {
		for rule, operations := range map[string][]admissionv1.OperationType{
			"a change": {admissionv1.Update}, "all": {admissionv1.Create, admissionv1.Update},
		} {
			t.Run(fmt.Sprintf("%s %d, %s", edit.kind, edit.of, rule), func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				b.startAndSync()
				name := b.deploy(spec("abc12345"), 1, 1)
				b.awaitPhase(name, workerapp.Running)
				k := b.kinds(name)[edit.of]
				before, err := b.admin.Get(b.ctx(), k.resource, k.namespace, k.name)
				require.NoError(t, err)
				admission.Refuse(t, b.admin, k.resource, k.namespace, k.name, operations...)
				b.patchAt(k, edit.patch)
				b.await("the refusal is told", func() error {
					app, err := b.app(name)
					if err == nil && !strings.Contains(app.Status.Message, "the cluster refuses the "+edit.kind+": ") {
						err = errors.New(app.Status.Message)
					}
					return err
				})
				after, err := b.admin.Get(b.ctx(), k.resource, k.namespace, k.name)
				require.NoError(t, err)
				require.Equal(t, before.GetUID(), after.GetUID())
			})
		}
	}
}
