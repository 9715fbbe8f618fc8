package dns

import (
	"context"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
)

// signingAhead is how far serial numbers go ahead where a zone begins or ceases
// to be signed: signing counts on by itself, and no slave takes a smaller number.
// Backends are told it as a fact.
const signingAhead = 1000

// maxSerial is the last serial number (RFC 1035, 3.3.13), and maxImported the last
// that a zone may come with, so that numbers are left for its changes.
const (
	maxSerial   int64 = 1<<32 - 1
	maxImported       = maxSerial - 1_000_000
)

// nextSerial returns the next serial number of a zone: YYYYMMDDnn of today or,
// where more than 99 were used up today, what follows, but at least ahead further
// than the last. As much after it is used up as well: it is what servers go on to
// where the operation is undone, since a slave that has seen a serial takes no
// smaller one (RFC 1982). The counter goes by the zone's name, and so survives
// the domain.
func nextSerial(ctx context.Context, plan noun.Planner, zone string, ahead int64) (int64, error) {
	year, month, day := plan.Now().UTC().Date()
	today := int64(((year*100+int(month))*100 + day) * 100)
	counter := "serial." + zone
	serial, err := plan.Number(ctx, counter, today)
	if err == nil && ahead > 1 {
		serial, err = plan.Number(ctx, counter, serial+ahead)
	}
	if err != nil {
		return 0, err
	}
	if serial+ahead > maxSerial {
		return 0, fault.New(fault.Conflict, "the zone %s has used up all serial numbers up to %d", zone, maxSerial)
	}
	_, err = plan.Number(ctx, counter, serial+ahead)
	return serial, err
}

// renew gives a zone a new serial number, once in an operation, so that its
// servers are told of what has changed in it.
func renew(ctx context.Context, plan noun.Planner, zone int64) error {
	if plan.Deleting(domainName, zone) {
		return nil
	}
	row, err := plan.Get(ctx, domainName, zone)
	if err != nil {
		return err
	}
	if !plan.Once("renew zone " + row.Text("name")) {
		return nil
	}
	serial, err := nextSerial(ctx, plan, row.Text("name"), 1)
	if err != nil {
		return err
	}
	_, err = plan.Set(ctx, row, noun.Values{"serial": serial})
	return err
}

// zoneOf returns the id of the domain whose zone a domain is in.
func zoneOf(domain noun.Row) int64 {
	if zone := domain.Int("zone"); zone != 0 {
		return zone
	}
	return domain.ID
}
