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

// Unavailable reports whether err means that the API server is unreachable or overloaded, not that it rejected the request.
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

// WebhookUnavailable reports whether err means that the API server could not call a required admission webhook. The API
// server reports that as an internal error.
func WebhookUnavailable(err error) bool {
	return apierrors.IsInternalError(err) && strings.Contains(err.Error(), "webhook")
}

// Refused reports whether err means that the object itself is invalid: a retry cannot succeed.
func Refused(err error) bool {
	return apierrors.IsInvalid(err) || apierrors.IsBadRequest(err)
}

// Absent reports whether err proves that an object does not exist. An unknown path is a 404 too, but proves nothing: right
// after its start the API server does not serve every kind.
func Absent(err error) bool {
	var answer apierrors.APIStatus
	return apierrors.IsNotFound(err) && errors.As(err, &answer) &&
		!apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse)
}

// InvalidFields lists the fields that the API server rejected with its message for each; "" if err names none. The messages
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
