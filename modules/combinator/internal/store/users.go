package store

import (
	"context"
	"fmt"

	"entgo.io/ent/dialect/sql"

	"app238.com/inner/ent"
	"app238.com/inner/ent/combinatorresource"
	"app238.com/inner/ent/combinatorsize"
	"app238.com/inner/ent/user"
	"app238.com/inner/modules/combinator/admin"
)

// User implements admin.Admin.
func (s *Store) User(ctx context.Context, uid string) (admin.User, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	found, err := s.client.User.Query().Where(user.UID(uid)).Only(ctx)
	if ent.IsNotFound(err) {
		return admin.User{}, fmt.Errorf("%w: %s", admin.ErrNoUser, uid)
	}
	if err != nil {
		return admin.User{}, err
	}
	u := admin.User{UID: found.UID, Email: found.Email, CreatedAt: found.CreatedAt.UTC(), Resources: []admin.Resource{}}
	sizes, err := s.client.CombinatorSize.Query().Where(combinatorsize.UserUID(uid)).All(ctx)
	if err != nil {
		return u, err
	}
	bytes := map[string]*int64{}
	for _, size := range sizes {
		bytes[size.ResourceID] = &size.Bytes
	}
	resources, err := s.client.CombinatorResource.Query().Where(combinatorresource.UserUID(uid)).
		Order(combinatorresource.ByID(sql.OrderDesc())).All(ctx)
	for _, r := range resources {
		shown := admin.Resource{ResourceID: r.ResourceID, Type: r.ResourceType, Status: r.Status, Message: r.Msg,
			CreatedAt: r.CreatedAt.UTC()}
		if r.ResourceType == RDB {
			shown.Bytes = bytes[r.ResourceID]
		}
		u.Resources = append(u.Resources, shown)
	}
	return u, err
}
