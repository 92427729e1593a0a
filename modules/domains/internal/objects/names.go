// Package objects builds the objects that serve a custom domain, as section 3 of the platform's contract asks for them.
// Everything here is pure.
package objects

import (
	"app238.com/inner/app/identifier"
)

// Labels and annotations of the objects.
const (
	// AppLabel has the value App; UserLabel holds users.uid.
	AppLabel  = "app"
	App       = "custom-domain"
	UserLabel = "user-uid"
	// IDAnnotation holds custom_domains.cdid.
	IDAnnotation = "console.app238.com/cdid"
	// UserAnnotation holds users.uid in full: a label takes one character less than an identifier may have.
	UserAnnotation = "console.app238.com/user-uid"
	// PlatformAnnotation holds the mark of the platform (config.PlatformMark) that made the object: several may share a namespace.
	PlatformAnnotation = "console.app238.com/platform"
)

// labelLimit is the longest label value and the longest name of a Service (Kubernetes).
const labelLimit = 63

// Name returns the name of the objects of a domain.
func Name(cdid string) string {
	return identifier.Style{Separator: "-", Limit: labelLimit}.Name(App, cdid)
}

// SecretName returns the name of the Secret with the certificate of a domain.
func SecretName(cdid string) string {
	return identifier.Style{Separator: "-", Limit: labelLimit}.Name(App+"-tls", cdid)
}

// userLabel is the user's uid as the value of a label.
func userLabel(userUID string) string {
	if len(userUID) <= labelLimit {
		return userUID
	}
	return identifier.Style{Separator: "-", Limit: labelLimit}.Name("", userUID)
}
