package server

import "net/http"

// Drain has the server end every connection with its next answer, so that clients open their next one elsewhere. It goes on
// accepting and answering: whoever sends it requests learns only by and by that it is about to stop.
func (s *Server) Drain() { s.draining.Store(true) }

// leave tells clients to end their connection while the server drains. Connections that are idle are left alone: closing
// one while a request is on its way on it would lose that request.
func (s *Server) closeWhileDraining(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.draining.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}
