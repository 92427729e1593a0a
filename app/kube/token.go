package kube

import (
	"context"
	"slices"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Subject returns who a service account's token was issued to, such as "system:serviceaccount:console:outer"; "" where the
// API server does not accept it for this audience.
func (c *Clients) Subject(ctx context.Context, token, audience string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	review, err := c.Typed.AuthenticationV1().TokenReviews().Create(ctx, &authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{audience}},
	}, metav1.CreateOptions{})
	if err != nil {
		return "", err
	}
	// An API server that knows no audiences answers without any: then the token was not checked for one.
	if !review.Status.Authenticated || !slices.Contains(review.Status.Audiences, audience) {
		return "", nil
	}
	return review.Status.User.Username, nil
}
