package server

import "net/http"

// Drain makes the server close every connection after its next response, so that clients reconnect to other replicas. It keeps
// accepting and answering requests until it is stopped.
func (s *Server) Drain() { s.draining.Store(true) }

// closeWhileDraining asks clients to close their connection while the server drains. Idle connections stay open: closing one
// could lose a request that is already on its way.
func (s *Server) closeWhileDraining(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.draining.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}
