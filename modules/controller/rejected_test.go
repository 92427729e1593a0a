package controller_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"app238.com/inner/modules/controller/workerapp"
	"app238.com/inner/test/admission"
)

func TestRejectedChangeKeepsObject(t *testing.T) {
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
				k := b.children(name)[edit.of]
				before, err := b.admin.Get(b.ctx(), k.resource, k.namespace, k.name)
				require.NoError(t, err)
				admission.Refuse(t, b.admin, k.resource, k.namespace, k.name, metav1.StatusReasonInvalid, operations...)
				b.patchAt(k, edit.patch)
				b.await("the rejection is reported", func() error {
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

func TestRejectedDeployFailsWithServerMessage(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		refuse  func(b *bundle, children []childRef)
		message string
	}{
		"a policy": {func(b *bundle, children []childRef) {
			admission.Refuse(b.t, b.admin, children[0].resource, b.worker(), children[0].name, metav1.StatusReasonForbidden,
				admissionv1.Create, admissionv1.Update)
		}, "the cluster refuses the ConfigMap: .*the operator's policy forbids it"},
		"a quota": {func(b *bundle, children []childRef) {
			admission.Exhaust(b.t, b.admin, children[3].resource, b.worker(), children[3].name)
		}, "the cluster refuses the Deployment: .*exceeded quota"},
		"an unavailable webhook": {func(b *bundle, children []childRef) {
			admission.Break(b.t, b.admin, children[2].resource, b.worker(), children[2].name)
		}, "the cluster refuses the Service: .*failed calling webhook"},
		"a webhook that denies with 429": {func(b *bundle, children []childRef) {
			admission.Deny(b.t, b.admin, children[2].resource, b.worker(), http.StatusTooManyRequests, "no more Services this month")
		}, "the cluster refuses the Service: .*no more Services this month"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.config.Controller.ProgressDeadline = 3 * time.Second
			b.startAndSync()
			before := b.deploy(spec("abc12345"), 1, 1)
			b.awaitPhase(before, workerapp.Running)
			test.refuse(b, b.children(before))
			name := b.deploy(spec("def12345"), 2, 2)
			require.Regexp(t, test.message, b.awaitEvent(name, corev1.EventTypeWarning, "Refused").Message)
			app := b.awaitPhase(name, workerapp.Failed)
			require.Regexp(t, test.message, app.Status.Message)
			require.NotContains(t, app.Status.Message, envValue)
			b.awaitRecorded(name)
			last := b.recorder.recorded()
			require.Equal(t, app.Status.Message, last[len(last)-1].Reason)
		})
	}
}
