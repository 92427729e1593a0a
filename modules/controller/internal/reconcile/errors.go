package reconcile

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"app238.com/inner/app/kube"
	"app238.com/inner/app/logging"
	"app238.com/inner/modules/controller/internal/children"
	"app238.com/inner/modules/controller/internal/conditions"
	"app238.com/inner/modules/controller/workerapp"
)

// rejectionLength is the most characters of an API server's message in a status.
const rejectionLength = 500

// stalledError is an error that a retry alone does not solve: the owner, the database or the cluster's rules must change. It
// stalls the WorkerApp with a reason and a message in its status.
type stalledError struct {
	reason, message string
	// cause, if set, is retried like any error and only logged.
	cause error
	// retryable errors fail the WorkerApp only once they have lasted for the progress deadline.
	retryable bool
}

func (e *stalledError) Error() string { return e.message }

func (e *stalledError) Unwrap() error { return e.cause }

// asStalled returns the stalledError in err's tree. Other rejections by the API server, such as of a deletion, become one.
func asStalled(err error) (*stalledError, bool) {
	if stalled, ok := errors.AsType[*stalledError](err); ok {
		return stalled, true
	}
	var answer apierrors.APIStatus
	if apierrors.IsNotFound(err) || !isRejection(err) || !errors.As(err, &answer) {
		return nil, false
	}
	return &stalledError{reason: conditions.Refused, message: printable("the cluster refuses a change: " + answer.Status().Message),
		cause: err, retryable: true}, true
}

// requeueAfter returns when to retry. A new task corrects the environment and triggers a reconcile; missing rows may reappear
// without one.
func (e *stalledError) requeueAfter(slow time.Duration) (time.Duration, error) {
	if e.reason == conditions.NoOwner {
		return slow, nil
	}
	return 0, e.cause
}

// reportError writes err to the status if it is a stalledError, and returns when to retry.
func (r *Reconciler) reportError(ctx context.Context, app *workerapp.WorkerApp, live *appsv1.Deployment,
	err error) (time.Duration, error) {
	stalled, ok := asStalled(err)
	if !ok {
		return 0, err
	}
	state := conditions.State{Phase: workerapp.Failed, Reason: stalled.reason, Message: stalled.message, Serving: live != nil &&
		live.Status.ReadyReplicas > 0}
	previous, _ := conditions.Previous(app)
	same := previous.Reason == stalled.reason
	state.Since = previous.LastingSince(r.now(), stalled.reason)
	if stalled.retryable && (!same || previous.Phase != workerapp.Failed) &&
		r.now().Before(state.Since.Add(r.config.ProgressDeadline)) {
		state.Phase = workerapp.Deploying
	}
	if err := r.report(ctx, app, state); err != nil {
		return 0, err
	}
	if state.Phase == workerapp.Deploying && !same {
		r.events.Event(app, corev1.EventTypeWarning, state.Reason, state.Message)
	}
	return stalled.requeueAfter(r.config.RetryDelayMax)
}

// isRejection reports whether the API server rejected a change: it was neither unavailable nor did it report a conflict. A
// failing or denying webhook is a rejection too, whatever its status code.
func isRejection(err error) bool {
	var answer apierrors.APIStatus
	return errors.As(err, &answer) && !kube.IsConflict(err) &&
		(apierrors.IsInternalError(err) || strings.HasPrefix(answer.Status().Message, webhookDenial) || !kube.Unavailable(err))
}

// webhookDenial is the prefix of the API server's message about a denying webhook (admission/plugin/webhook/errors).
const webhookDenial = "admission webhook "

// rejection turns the API server's rejection of c into a stalledError, which is retried nevertheless: the cluster's rules may
// change. Only an invalid object fails the WorkerApp at once.
func rejection(c children.Child, err error) error {
	cause := fmt.Errorf("apply %s %s: %w", c.Object.GetKind(), c.Object.GetName(), err)
	if !isRejection(err) {
		return cause
	}
	return &stalledError{
		reason:    conditions.Refused,
		message:   fmt.Sprintf("the cluster refuses the %s: %s", c.Object.GetKind(), rejectionText(c, err)),
		cause:     cause,
		retryable: !kube.Refused(err),
	}
}

// rejectionText returns the API server's message. If that may repeat a value of the environment, it returns only the fields and
// the causes' types.
func rejectionText(c children.Child, err error) string {
	var refused apierrors.APIStatus
	if !errors.As(err, &refused) {
		return "no reason given"
	}
	text := refused.Status().Message
	if c.Resource == children.ConfigMaps() || c.Resource == children.Secrets() {
		var causes []string
		if details := refused.Status().Details; details != nil {
			for _, cause := range details.Causes {
				if cause.Field != "" {
					causes = append(causes, cause.Field+": "+string(cause.Type))
				}
			}
		}
		if len(causes) > 0 || c.Resource == children.Secrets() || revealsValue(c, text) {
			text = cmp.Or(strings.Join(causes, ", "),
				"reason "+string(refused.Status().Reason)+"; the message is withheld, since it may hold a value")
		}
	}
	return cmp.Or(printable(text), "no reason given")
}

// shownLength is the length of a value's prefix that must not be shown.
const shownLength = 8

// revealsValue reports whether text has a prefix of a value of the ConfigMap c: verbatim, quoted or in base64.
func revealsValue(c children.Child, text string) bool {
	values, _, err := unstructured.NestedStringMap(c.Object.Object, "data")
	for _, value := range values {
		quoted := strings.Trim(strconv.Quote(value), `"`)
		for _, form := range []string{value, quoted, base64.StdEncoding.EncodeToString([]byte(value))} {
			if form != "" && strings.Contains(text, form[:min(len(form), shownLength)]) {
				return true
			}
		}
	}
	return err != nil
}

func printable(text string) string { return logging.Clip(conditions.Public(text), rejectionLength) }
