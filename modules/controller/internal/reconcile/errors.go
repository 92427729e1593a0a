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
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"app238.com/inner/app/kube"
	"app238.com/inner/app/logging"
	"app238.com/inner/modules/controller/internal/children"
	"app238.com/inner/modules/controller/internal/conditions"
	"app238.com/inner/modules/controller/workerapp"
)

// refusalLength is how much of the API server's words goes into a status.
const rejectionLength = 500

// fault is what keeps a WorkerApp from being made that no mere repetition mends: the owner must change something, or the
// database or the cluster's rules must. It fails the WorkerApp and says why.
type stalledError struct {
	reason, message string
	// cause, where there is one, is tried again like any error; its own words are for the log.
	cause error
	// passing: a further try may succeed. It fails the WorkerApp once it has lasted as long as a rollout may make no progress.
	retryable bool
}

func (f *stalledError) Error() string { return f.message }

func (f *stalledError) Unwrap() error { return f.cause }

// faultOf returns the fault that err is or holds. What the API server refuses of which no fault was made, like a deletion, is one too.
func asStalled(err error) (*stalledError, bool) {
	if f, ok := errors.AsType[*stalledError](err); ok {
		return f, true
	}
	var answer apierrors.APIStatus
	if apierrors.IsNotFound(err) || !isRejection(err) || !errors.As(err, &answer) {
		return nil, false
	}
	return &stalledError{reason: conditions.Refused, message: printable("the cluster refuses a change: " + answer.Status().Message), cause: err, retryable: true}, true
}

// again returns when to look again. A name in the environment is mended by a new task, which brings a look by itself;
// rows may come back without one.
func (f *stalledError) requeueAfter(slow time.Duration) (time.Duration, error) {
	if f.reason == conditions.NoOwner {
		return slow, nil
	}
	return 0, f.cause
}

// fail reports err where it is a fault, and returns when to look again.
func (r *Reconciler) reportError(ctx context.Context, app *workerapp.WorkerApp, live *appsv1.Deployment, err error) (time.Duration, error) {
	f, ok := asStalled(err)
	if !ok {
		return 0, err
	}
	state := conditions.State{Phase: workerapp.Failed, Reason: f.reason, Message: f.message, Serving: live != nil && live.Status.ReadyReplicas > 0}
	previous, _ := conditions.Previous(app)
	current := previous.Reason == f.reason
	state.Since = previous.LastingSince(r.now(), f.reason)
	if f.retryable && (!current || previous.Phase != workerapp.Failed) && r.now().Before(state.Since.Add(r.config.ProgressDeadline)) {
		state.Phase = workerapp.Deploying
	}
	if err := r.report(ctx, app, state); err != nil {
		return 0, err
	}
	if state.Phase == workerapp.Deploying && !current {
		r.events.Event(app, true, state.Reason, state.Message)
	}
	return f.requeueAfter(r.config.RetryDelayMax)
}

// answered tells whether err is what the API server answered to a change, rather than that it is away or busy, or that somebody
// else was faster. What a webhook has it fail at is an answer too, with whatever code the webhook denies.
func isRejection(err error) bool {
	var answer apierrors.APIStatus
	return errors.As(err, &answer) && !apierrors.IsConflict(err) &&
		(apierrors.IsInternalError(err) || strings.HasPrefix(answer.Status().Message, webhookDenial) || !kube.Unavailable(err))
}

// webhookDenial is how the API server begins what it says of a webhook that denies (admission/plugin/webhook/errors).
const webhookDenial = "admission webhook "

// refusal makes a fault of the API server's refusal of c, which is tried again all the same: its rules may change. Only what is
// wrong with the object itself counts at once.
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

// refusalText returns the API server's words. Where they may repeat a value of an environment, it tells only fields and kinds of
// faults.
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
			text = cmp.Or(strings.Join(causes, ", "), "one of its rules ("+string(refused.Status().Reason)+"), whose words may hold a value")
		}
	}
	return cmp.Or(printable(text), "no reason given")
}

// shownLength is how much of a value's beginning is too much.
const shownLength = 8

// repeats tells whether text holds the beginning of a value of the ConfigMap c, as it is, quoted or in base64.
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
