-- One row an event that is more than a view: a twentieth of a shop's log, kept apart so that few read the whole of it.
SELECT
  session_id, event_time, event_type, event_name, customer_id, product_id, price, quantity, amount, discount
FROM events
WHERE event_type <> 'view'
ORDER BY session_id, event_time
