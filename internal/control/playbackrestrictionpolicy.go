package control

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/text/language"

	"github.com/footlight-live/footlight/internal/api"
	"github.com/footlight-live/footlight/internal/api/ivs"
	"github.com/footlight-live/footlight/internal/arn"
)

// Countries tells where addresses are.
type Countries interface {
	// Country is the ISO 3166-1 alpha-2 code of the country of an address, or "" where that is not known.
	Country(netip.Addr) string
}

// policyRecord says who may watch the public channels that it is attached to.
type policyRecord struct {
	ID        string            `json:"id"`
	Created   time.Time         `json:"created"`
	Name      string            `json:"name"`
	Countries []string          `json:"allowedCountries,omitempty"` // none: all
	Origins   []string          `json:"allowedOrigins,omitempty"`   // none: all
	Strict    bool              `json:"enableStrictOriginEnforcement,omitzero"`
	Tags      map[string]string `json:"tags,omitempty"`
}

// Limits of policies (spec/lowlatency.md §6).
const (
	maxCountries = 200
	maxOrigins   = 5
)

// pageOfPolicies is one by default, as for stream keys.
var pageOfPolicies = pageSize{1, 100}

func (r policyRecord) order() string { return orderKey(r.Created, r.ID) }

func (c *Control) policyARN(id string) string {
	return c.Account.Of(arn.PlaybackRestrictionPolicy, id).String()
}

// configure applies the members that are present: a list replaces the whole one.
func (r *policyRecord) configure(c *Control, in *ivs.UpdatePlaybackRestrictionPolicyRequest) error {
	if in.AllowedCountries != nil {
		r.Countries = in.AllowedCountries
	}
	if in.AllowedOrigins != nil {
		r.Origins = in.AllowedOrigins
	}
	r.Name = value(in.Name, r.Name)
	r.Strict = value(in.EnableStrictOriginEnforcement, r.Strict)
	switch {
	case len(r.Countries) > maxCountries:
		return api.ValidationException("allowedCountries has %d elements, more than %d", len(r.Countries), maxCountries)
	case len(r.Origins) > maxOrigins:
		return api.ValidationException("allowedOrigins has %d elements, more than %d", len(r.Origins), maxOrigins)
	case slices.Contains(r.Origins, ""):
		return api.ValidationException("allowedOrigins has an empty element")
	case len(in.AllowedCountries) > 0 && c.Countries == nil:
		return api.ValidationException("allowedCountries: this server cannot tell countries, since it has no GeoIP database (--geoip-db)")
	}
	for _, code := range r.Countries {
		region, err := language.ParseRegion(code)
		if err != nil || !region.IsCountry() || region.Canonicalize().String() != code {
			return api.ValidationException("allowedCountries: '%s' is not the code of a country by ISO 3166-1 alpha-2", code)
		}
	}
	return nil
}

func (c *Control) viewPolicy(r policyRecord) *ivs.PlaybackRestrictionPolicy {
	v := ivs.PlaybackRestrictionPolicy(c.summarizePolicy(r)) // they have the same members
	return &v
}

func (c *Control) summarizePolicy(r policyRecord) ivs.PlaybackRestrictionPolicySummary {
	return ivs.PlaybackRestrictionPolicySummary{
		Arn: new(c.policyARN(r.ID)), Name: new(r.Name), EnableStrictOriginEnforcement: new(r.Strict), Tags: given(r.Tags),
		AllowedCountries: append([]string{}, r.Countries...), AllowedOrigins: append([]string{}, r.Origins...),
	}
}

// CreatePlaybackRestrictionPolicy makes a policy.
func (c *Control) CreatePlaybackRestrictionPolicy(ctx context.Context, in *ivs.CreatePlaybackRestrictionPolicyRequest) (*ivs.CreatePlaybackRestrictionPolicyResponse, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	r := policyRecord{ID: arn.NewID(12), Created: c.Now(), Tags: in.Tags}
	if err := r.configure(c, &ivs.UpdatePlaybackRestrictionPolicyRequest{
		AllowedCountries: in.AllowedCountries, AllowedOrigins: in.AllowedOrigins,
		EnableStrictOriginEnforcement: in.EnableStrictOriginEnforcement, Name: in.Name,
	}); err != nil {
		return nil, err
	}
	if err := createWithin(ctx, c, c.Quotas.playbackRestrictionPolicies(), c.policies, r.ID, r); err != nil {
		return nil, err
	}
	return &ivs.CreatePlaybackRestrictionPolicyResponse{PlaybackRestrictionPolicy: c.viewPolicy(r)}, nil
}

// GetPlaybackRestrictionPolicy shows one policy.
func (c *Control) GetPlaybackRestrictionPolicy(ctx context.Context, in *ivs.GetPlaybackRestrictionPolicyRequest) (*ivs.GetPlaybackRestrictionPolicyResponse, error) {
	r, err := named(ctx, c, c.policies, arn.PlaybackRestrictionPolicy, *in.Arn)
	if err != nil {
		return nil, err
	}
	return &ivs.GetPlaybackRestrictionPolicyResponse{PlaybackRestrictionPolicy: c.viewPolicy(r)}, nil
}

// ListPlaybackRestrictionPolicies shows all policies.
func (c *Control) ListPlaybackRestrictionPolicies(ctx context.Context, in *ivs.ListPlaybackRestrictionPoliciesRequest) (*ivs.ListPlaybackRestrictionPoliciesResponse, error) {
	page, next, err := pageOf(ctx, c, "ListPlaybackRestrictionPolicies", c.policies, in.MaxResults, in.NextToken, pageOfPolicies)
	if err != nil {
		return nil, err
	}
	return &ivs.ListPlaybackRestrictionPoliciesResponse{PlaybackRestrictionPolicies: each(page, c.summarizePolicy), NextToken: next}, nil
}

// UpdatePlaybackRestrictionPolicy changes the members that are present, for whoever starts to watch from now on.
func (c *Control) UpdatePlaybackRestrictionPolicy(ctx context.Context, in *ivs.UpdatePlaybackRestrictionPolicyRequest) (*ivs.UpdatePlaybackRestrictionPolicyResponse, error) {
	a, err := c.ours(*in.Arn, arn.PlaybackRestrictionPolicy)
	if err != nil {
		return nil, err
	}
	r, err := c.policies.Update(ctx, a.ID, func(r *policyRecord) error { return r.configure(c, in) })
	if err != nil {
		return nil, orNotFound(err, *in.Arn)
	}
	return &ivs.UpdatePlaybackRestrictionPolicyResponse{PlaybackRestrictionPolicy: c.viewPolicy(r)}, nil
}

// DeletePlaybackRestrictionPolicy removes a policy that no channel has.
func (c *Control) DeletePlaybackRestrictionPolicy(ctx context.Context, in *ivs.DeletePlaybackRestrictionPolicyRequest) error {
	a, err := c.ours(*in.Arn, arn.PlaybackRestrictionPolicy)
	if err != nil {
		return err
	}
	return deleteUnattached(ctx, c, c.policies, a, func(r channelRecord) string { return r.RestrictionPolicy })
}
