package kube

import (
	"context"
	"errors"
	"net"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"
)

// Unavailable tells whether err says that the API server is away or overloaded rather than that it refused the request.
func Unavailable(err error) bool {
	if err == nil {
		return false
	}
	var netErr net.Error
	return apierrors.IsServiceUnavailable(err) || apierrors.IsTooManyRequests(err) || apierrors.IsServerTimeout(err) ||
		apierrors.IsTimeout(err) || apierrors.IsInternalError(err) || apierrors.IsUnexpectedServerError(err) ||
		utilnet.IsConnectionRefused(err) || utilnet.IsConnectionReset(err) || utilnet.IsProbableEOF(err) ||
		errors.As(err, &netErr) || errors.Is(err, context.DeadlineExceeded)
}

// WebhookAway tells whether err says that the API server could not ask a webhook that has to be asked. It says so with the code of an
// internal error.
func WebhookUnavailable(err error) bool {
	return apierrors.IsInternalError(err) && strings.Contains(err.Error(), "webhook")
}

// Refused tells whether err says that the API server found the object itself wrong: no repetition helps.
func Refused(err error) bool {
	return apierrors.IsInvalid(err) || apierrors.IsBadRequest(err)
}

// Absent tells a "no such object" of the API server, which proves that it is gone, from a "no such path": both are a 404, and for a
// moment after its start the API server does not know every kind.
func Absent(err error) bool {
	var answer apierrors.APIStatus
	return apierrors.IsNotFound(err) && errors.As(err, &answer) &&
		!apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse)
}

// Faults names the fields that the API server found wrong, with its words for them; "" where err does not tell. The words
// may repeat a field's value.
func InvalidFields(err error) string {
	var refused apierrors.APIStatus
	if !errors.As(err, &refused) || refused.Status().Details == nil {
		return ""
	}
	var fields []string
	for _, cause := range refused.Status().Details.Causes {
		if cause.Field != "" && cause.Field != "<nil>" {
			fields = append(fields, cause.Field+": "+cause.Message)
		}
	}
	return strings.Join(fields, "; ")
}
