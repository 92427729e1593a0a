// Package httpapi is the HTTP interface of combinator.
package httpapi

import (
	"errors"
	"net/http"

	"app238.com/inner/app/config"
	"app238.com/inner/app/identifier"
	"app238.com/inner/app/server"
	"app238.com/inner/modules/combinator/internal/store"
)

// API serves the routes of combinator.
type API struct {
	store *store.Store
}

// New returns the API.
func New(s *store.Store) *API { return &API{store: s} }

// Routes returns the routes of combinator.
func (a *API) Routes() []server.Route {
	return []server.Route{
		{Method: http.MethodGet, Path: "/api/combinator/retrieveSecretByID", Handler: a.secret, Access: config.SecretRoutes},
		{Method: http.MethodPost, Path: "/api/combinator/reportUsage", Handler: a.report, Access: config.UsageRoutes},
	}
}

// secretResponse is the response of retrieveSecretByID. It has the key under both names that Combinators read.
type secretResponse struct {
	Secret    string             `json:"secret"`
	SecretKey string             `json:"secret_key"`
	Resources []resourceResponse `json:"resources"`
}

type resourceResponse struct {
	ResourceID   string `json:"resource_id"`
	ResourceType string `json:"resource_type"`
}

// secret serves GET /api/combinator/retrieveSecretByID: a user's key and active resources, or one of them.
func (a *API) secret(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	userUID, resourceID := query.Get("user_id"), query.Get("resource_id")
	if err := identifier.Check("user_id", userUID); err != nil {
		return server.BadRequest("%s", err.Error())
	}
	if query.Has("resource_id") {
		if err := identifier.Check("resource_id", resourceID); err != nil {
			return server.BadRequest("%s", err.Error())
		}
	}
	key, err := a.store.SecretKey(r.Context(), userUID)
	if err != nil {
		return httpError(err)
	}
	active, err := a.store.ActiveResources(r.Context(), userUID)
	if err != nil {
		return httpError(err)
	}
	response := secretResponse{Secret: key, SecretKey: key, Resources: []resourceResponse{}}
	for _, resource := range active {
		if resourceID == "" || resource.ResourceID == resourceID {
			response.Resources = append(response.Resources,
				resourceResponse{ResourceID: resource.ResourceID, ResourceType: resource.ResourceType})
		}
	}
	if resourceID != "" && len(response.Resources) == 0 {
		return server.NotFound("no such active resource of this user")
	}
	w.Header().Set("Cache-Control", "no-store")
	return server.WriteJSON(w, http.StatusOK, response)
}

// httpError maps an error of the store to the error of a response.
func httpError(err error) error {
	switch {
	case errors.Is(err, store.ErrNoUser), errors.Is(err, store.ErrNoResource):
		return server.NotFound(err.Error())
	}
	return err
}
