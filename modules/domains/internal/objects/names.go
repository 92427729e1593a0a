// Package objects builds the objects that serve a custom domain, as section 3 of the platform's contract defines them. Its
// functions are pure.
package objects

import (
	"app238.com/inner/app/identifier"
)

// Labels and annotations of the objects.
const (
	// AppLabel has the value App, UserLabel the users.uid.
	AppLabel  = "app"
	App       = "custom-domain"
	UserLabel = "user-uid"
	// IDAnnotation has the custom_domains.cdid.
	IDAnnotation = "console.app238.com/cdid"
	// UserAnnotation has the complete users.uid: a label may be one character shorter than an identifier.
	UserAnnotation = "console.app238.com/user-uid"
	// PlatformAnnotation has the mark (config.PlatformMark) of the platform that owns the object: platforms may share a namespace.
	PlatformAnnotation = "console.app238.com/platform"
)

// labelLimit is the maximum length of a label value and of the name of a Service.
const labelLimit = 63

// Name returns the name of the objects of a domain.
func Name(cdid string) string {
	return identifier.Style{Separator: "-", Limit: labelLimit}.Name(App, cdid)
}

// SecretName returns the name of the Secret with the certificate of a domain.
func SecretName(cdid string) string {
	return identifier.Style{Separator: "-", Limit: labelLimit}.Name(App+"-tls", cdid)
}

// userLabel returns the user's uid as the value of a label.
func userLabel(userUID string) string {
	if len(userUID) <= labelLimit {
		return userUID
	}
	return identifier.Style{Separator: "-", Limit: labelLimit}.Name("", userUID)
}
